/**
 * Deletes a container: what is left of its processes, its cgroups, its state.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { Cgroup } from "./cgroup/cgroup.ts";
import { endUnit } from "./cgroup/end_unit.ts";
import { type ContainerState, specOf, type StateDirectory } from "./container_state.ts";
import type { Created } from "./create.ts";
import { hasHooks } from "./hooks/hook_state.ts";
import type { HostMount } from "./host_mount.ts";
import { killContainer } from "./kill.ts";
import type { ResctrlRecord } from "./resctrl/group.ts";
import { isAlive, statusOf } from "./status.ts";

/** How long a killed init may take to end: 10 s, as runc waits. */
const waitMsMax = 10_000;
const stepMs = 10;

/** How a container is deleted. */
export interface DeleteOptions {
  force: boolean;
  /** Is told of poststop hooks that failed: the container is gone all the same. */
  warn?: ((message: string) => void) | undefined;
}

/**
 * Deletes a stopped or created container; with `force` a running one too, and a missing one is a success.
 *
 * Throws `NotFound` "container does not exist" and `FailedPrecondition` where it runs.
 */
export async function deleteContainer(directory: StateDirectory, options: DeleteOptions): Promise<void> {
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
    killIfAlive(directory);
    for (let waitedMs = 0; isAlive(state); waitedMs += stepMs) {
      if (waitedMs >= waitMsMax) throw new Failure("DeadlineExceeded", "container init still running");
      await new Promise((resolve) => setTimeout(resolve, stepMs));
    }
  }
  const cgroup = Cgroup.fromRecord(state.cgroup);
  if (cgroup.processes().length > 0) cgroup.signalAll(9);
  if (state.unit !== undefined) await endUnit(state.unit);
  await cgroup.remove();
  if (state.resctrl !== undefined) await leaveResctrl(state.resctrl);
  if (state.hostMount !== undefined) await leaveHost(state.hostMount);
  const spec = specIfThere(state);
  directory.remove();
  if (spec !== undefined) await afterStop(spec, state, options.warn);
}

/** Init may have ended since it was looked at, of a signal that was under way. */
function killIfAlive(directory: StateDirectory): void {
  try {
    killContainer(directory, 9);
  } catch (error) {
    // Gone: somebody else deletes it in this moment.
    if (!isFailure(error, "FailedPrecondition") && !isFailure(error, "NotFound")) throw error;
  }
}

/**
 * Removes what is left of a container that this process created, and whose init it has reaped. `warn` is as in
 * {@link DeleteOptions}.
 */
export async function releaseContainer(
  { cgroup, directory, spec, state }: Pick<Created, "cgroup" | "directory" | "spec" | "state">,
  warn?: (message: string) => void,
): Promise<void> {
  if (cgroup.processes().length > 0) cgroup.signalAll(9);
  if (state.unit !== undefined) await endUnit(state.unit);
  await cgroup.remove();
  if (state.resctrl !== undefined) await leaveResctrl(state.resctrl);
  if (state.hostMount !== undefined) await leaveHost(state.hostMount);
  directory.remove();
  await afterStop(spec, state, warn);
}

/** Loaded only where there is something to remove: other deletions are not to wait for it. */
async function leaveResctrl(record: ResctrlRecord): Promise<void> {
  const { removeGroup } = await import("./resctrl/group.ts");
  removeGroup(record);
}

/** As {@link leaveResctrl}. */
export async function leaveHost(mount: HostMount): Promise<void> {
  const { removeHostMount } = await import("./host_mount.ts");
  removeHostMount(mount);
}

async function afterStop(spec: Spec, state: ContainerState, warn: DeleteOptions["warn"]): Promise<void> {
  if (!hasHooks(spec, "poststop")) return;
  const { runPoststopHooks } = await import("./hooks/run_hooks.ts");
  await runPoststopHooks({ spec, state }, warn ?? (() => {}));
}

/** A spec that lies in its caller's bundle may be gone by now, and its hooks with it. */
function specIfThere(state: ContainerState): Spec | undefined {
  try {
    return specOf(state);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
