/**
 * A shim's words about processes as those of the daemon's API.
 *
 * @module
 */
import type { StateResponse } from "../../api/gen/runtime/task/v3/shim.ts";
import { type Process, Status } from "../../api/gen/types/task/task.ts";
import type { Task } from "../tasks/task.ts";

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
  return {
    containerId: "",
    id,
    pid,
    status: Status.UNKNOWN,
    stdin: "",
    stdout: "",
    stderr: "",
    terminal: false,
    exitStatus: 0,
    exitedAt: undefined,
  };
}
