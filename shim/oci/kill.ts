/**
 * Sends signals to a container.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { openPidfd, signalPidfd } from "../../ffi/process.ts";
import { Cgroup } from "./cgroup/cgroup.ts";
import { type ContainerState, specOf, type StateDirectory } from "./container_state.ts";
import { isAlive } from "./status.ts";

const SIGKILL = 9;

/** Whether init's death takes every other process of the container with it. */
function hasOwnPidNamespace(state: ContainerState): boolean {
  return specOf(state).linux?.namespaces?.some(({ type, path }) => type === "pid" && !path) ?? false;
}

/**
 * Sends the signal to init. SIGKILL goes to every process where they share a pid namespace with others, also when init
 * has ended: the others are the container then. A paused container is thawed by SIGKILL: a frozen process of cgroup v1
 * never dies.
 *
 * Throws `FailedPrecondition` "container not running".
 */
export function killContainer(directory: StateDirectory, signal: number): void {
  const state = directory.read();
  const alive = isAlive(state);
  const cgroup = Cgroup.fromRecord(state.cgroup);
  if (signal === SIGKILL && !hasOwnPidNamespace(state) && (cgroup.places.length > 0 || !alive)) {
    if (!alive && cgroup.processes().length === 0) throw new Failure("FailedPrecondition", "container not running");
    cgroup.signalAll(signal);
  } else {
    if (!alive) throw new Failure("FailedPrecondition", "container not running");
    signalInit(state, signal);
  }
  if (signal === SIGKILL && cgroup.state() === "frozen") cgroup.thaw();
}

/**
 * Sends the signal to every process of the container's cgroup, whether init is among them or not. Where none is left
 * there is nothing to do, and that is a success: callers clean up so.
 */
export function killAll(directory: StateDirectory, signal: number): void {
  const state = directory.read();
  const cgroup = Cgroup.fromRecord(state.cgroup);
  if (cgroup.places.length === 0) {
    if (isAlive(state)) signalInit(state, signal);
    return;
  }
  try {
    cgroup.signalAll(signal);
  } catch (error) {
    if (!isErrno(error, "EINVAL")) throw error;
    throw new Failure("InvalidArgument", "unable to signal the container: invalid argument", { cause: error });
  }
}

/** By pidfd, looked at again after it was opened: the process id may have been given to another meanwhile. */
function signalInit(state: ContainerState, signal: number): void {
  try {
    using pidfd = new Descriptor(openPidfd(state.pid));
    if (!isAlive(state)) throw new Failure("FailedPrecondition", "container not running");
    signalPidfd(pidfd.number, signal);
  } catch (error) {
    if (isErrno(error, "EINVAL")) {
      throw new Failure("InvalidArgument", "unable to signal init: invalid argument", { cause: error });
    }
    if (!isErrno(error, "ESRCH")) throw error;
    throw new Failure("FailedPrecondition", "container not running", { cause: error });
  }
}
