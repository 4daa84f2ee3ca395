/**
 * Stops and continues all processes of a container.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { Cgroup } from "./cgroup/cgroup.ts";
import type { StateDirectory } from "./container_state.ts";
import { statusOf } from "./status.ts";

/**
 * Freezes a running or created container, and returns when all of it stands still. Throws `FailedPrecondition`
 * "container not running", also where it is paused already, and `DeadlineExceeded` where it does not freeze in 10 s.
 */
export async function pauseContainer(directory: StateDirectory): Promise<void> {
  const state = directory.read();
  const status = statusOf(directory, state);
  if (status !== "running" && status !== "created") throw new Failure("FailedPrecondition", "container not running");
  await Cgroup.fromRecord(state.cgroup).freeze();
}

/** Lets a paused container run on. Throws `FailedPrecondition` "container not paused". */
export function resumeContainer(directory: StateDirectory): void {
  const state = directory.read();
  if (statusOf(directory, state) !== "paused") throw new Failure("FailedPrecondition", "container not paused");
  Cgroup.fromRecord(state.cgroup).thaw();
}
