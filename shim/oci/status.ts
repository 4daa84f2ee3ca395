/**
 * A container's status, derived from the kernel each time it is asked for.
 *
 * @module
 */
import { Cgroup } from "./cgroup/cgroup.ts";
import type { ContainerState, StateDirectory } from "./container_state.ts";

/** The statuses of the runtime specification, and runc's `paused`. */
export type Status = "created" | "running" | "paused" | "stopped";

/** State letter and start time from `/proc/PID/stat`; undefined where there is no such process. */
export function processStat(pid: number): { state: string; start: string } | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch {
    return undefined;
  }
  // The second field is the command's name in parentheses and may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", start: fields[19] ?? "" };
}

/** Whether init is alive: the same process, and no zombie. */
export function isAlive(state: ContainerState): boolean {
  if (state.pid <= 0) return false;
  const stat = processStat(state.pid);
  return stat !== undefined && stat.start === state.pidStart && stat.state !== "Z" && stat.state !== "X";
}

/** The status now. */
export function statusOf(directory: StateDirectory, state: ContainerState): Status {
  if (!isAlive(state)) return "stopped";
  if (Cgroup.fromRecord(state.cgroup).state() === "frozen") return "paused";
  return directory.isCreated() ? "created" : "running";
}
