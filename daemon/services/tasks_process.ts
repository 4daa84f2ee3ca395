/**
 * A shim's words about processes as those of the daemon's API.
 *
 * @module
 */
import type { StateResponse } from "../../api/gen/runtime/task/v3/shim.ts";
import { Process, Status } from "../../api/gen/types/task/task.ts";
import type { Task, TaskExit } from "../tasks/task.ts";

/** A process as Get and List show it: by the exec's id where it is one. The container's id is not filled, as in containerd. */
export function processOf(state: StateResponse): Process {
  return {
    containerId: "",
    id: state.execId === "" ? state.id : state.execId,
    pid: state.pid,
    status: state.status,
    stdin: state.stdin,
    stdout: state.stdout,
    stderr: state.stderr,
    terminal: state.terminal,
    exitStatus: state.exitStatus,
    exitedAt: state.exitedAt,
  };
}

/** What can be said of a task whose shim says nothing. */
export function unknownProcess({ id, pid }: Task): Process {
  return Process.fromPartial({ id, pid, status: Status.UNKNOWN });
}

/** What can be said of a task whose shim is lost, when it is cleaned up. */
export function stoppedProcess({ id, pid }: Task, { exitStatus, exitedAt }: TaskExit): Process {
  return { ...Process.create(), id, pid, status: Status.STOPPED, exitStatus, exitedAt };
}
