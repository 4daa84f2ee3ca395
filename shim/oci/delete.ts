/**
 * Deletes a container: what is left of its processes, its cgroups, its state.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import { Cgroup } from "./cgroup/cgroup.ts";
import type { StateDirectory } from "./container_state.ts";
import type { Created } from "./create.ts";
import { killContainer } from "./kill.ts";
import { isAlive, statusOf } from "./status.ts";

/** How long a killed init may take to end: 10 s, as runc waits. */
const waitMsMax = 10_000;
const stepMs = 10;

/**
 * Deletes a stopped or created container; with `force` a running one too, and a missing one is a success.
 *
 * Throws `NotFound` "container does not exist" and `FailedPrecondition` where it runs.
 */
export async function deleteContainer(directory: StateDirectory, options: { force: boolean }): Promise<void> {
  let state;
  try {
    state = directory.read();
  } catch (error) {
    // A runtime that was killed before it wrote a state leaves an empty directory.
    directory.remove();
    if (options.force && (isFailure(error, "NotFound") || isFailure(error, "DataLoss"))) return;
    throw error;
  }
  const status = statusOf(directory, state);
  if (status !== "stopped") {
    if (status !== "created" && !options.force) {
      throw new Failure(
        "FailedPrecondition",
        `cannot delete container ${directory.id} that is not stopped: ${status}`,
      );
    }
    killContainer(directory, 9);
    for (let waitedMs = 0; isAlive(state); waitedMs += stepMs) {
      if (waitedMs >= waitMsMax) throw new Failure("DeadlineExceeded", "container init still running");
      await new Promise((resolve) => setTimeout(resolve, stepMs));
    }
  }
  const cgroup = Cgroup.fromRecord(state.cgroup);
  if (cgroup.processes().length > 0) cgroup.signalAll(9);
  await cgroup.remove();
  directory.remove();
}

/** Removes what is left of a container that this process created, and whose init it has reaped. */
export async function releaseContainer({ cgroup, directory }: Pick<Created, "cgroup" | "directory">): Promise<void> {
  if (cgroup.processes().length > 0) cgroup.signalAll(9);
  await cgroup.remove();
  directory.remove();
}
