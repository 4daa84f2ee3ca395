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
 * Sends the signal to init; SIGKILL goes to every process where they share a pid namespace with others. A paused
 * container is thawed by SIGKILL: a frozen process of cgroup v1 never dies.
 *
 * Throws `FailedPrecondition` "container not running".
 */
export function killContainer(directory: StateDirectory, signal: number): void {
  const state = directory.read();
  if (!isAlive(state)) throw new Failure("FailedPrecondition", "container not running");
  const cgroup = Cgroup.fromRecord(state.cgroup);
  if (signal === SIGKILL && !hasOwnPidNamespace(state)) {
    cgroup.signalAll(signal);
  } else {
    signalInit(state, signal);
  }
  if (signal === SIGKILL && cgroup.state() === "frozen") cgroup.thaw();
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
