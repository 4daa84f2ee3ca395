/**
 * Describes the processes of containers for their bundles.
 *
 * @module
 */
import type { Descriptor } from "../../ffi/descriptor.ts";
import { processStat } from "../oci/status.ts";
import type { Container } from "./container.ts";
import type { TaskProcess } from "./task_process.ts";
import type { ExecRecord, ProcessRecord, TaskRecord } from "./task_record.ts";

/** What does not change about a process. */
type Found = Omit<ProcessRecord, "stdinClosed">;

/** Looks at each process once: when it has ended there is nothing to be seen. */
export class ProcessRecords {
  readonly #found = new WeakMap<TaskProcess, Found>();

  /** The container's record as it is to be now. */
  of(container: Container): TaskRecord {
    const { mounted } = container.options;
    return {
      version: 1,
      stdio: container.init.stdio,
      ...(mounted === undefined ? {} : { mounted }),
      init: this.#process(container.init),
      execs: [...container.execs].map(([execId, { process, spec }]): ExecRecord => ({
        execId,
        stdio: process.stdio,
        spec,
        ...(process.pid === 0 ? {} : { process: this.#process(process) }),
      })),
    };
  }

  #process(process: TaskProcess): ProcessRecord {
    const found = this.#found.get(process) ?? look(process);
    // Before its terminal or logger is there, or after its end, there may be more to see the next time, or nothing.
    if (process.pidfd !== undefined) this.#found.set(process, found);
    return { ...found, stdinClosed: process.stdinClosed };
  }
}

function look({ pid, pidfd, streams }: TaskProcess): Found {
  // A number whose process was reaped may be another one's.
  const start = pidfd === undefined ? "" : processStat(pid)?.start ?? "";
  const pipes: Partial<Record<"stdin" | "stdout" | "stderr", number>> = {};
  const held = streams?.held;
  for (const name of ["stdin", "stdout", "stderr"] as const) {
    const inode = inodeOf(held?.get(name));
    if (inode !== undefined) pipes[name] = inode;
  }
  const logger = processOf(held?.get("logger"));
  return { pid, start, pipes, ...(logger === undefined ? {} : { logger }) };
}

function inodeOf(end: Descriptor | undefined): number | undefined {
  if (end === undefined) return undefined;
  const [, inode] = /^pipe:\[(\d+)\]$/.exec(Deno.readLinkSync(`/proc/self/fd/${end.number}`)) ?? [];
  return inode === undefined ? undefined : Number(inode);
}

/** proc_pid_fdinfo(5): `Pid` of a pidfd is -1 once the process was reaped. */
function processOf(pidfd: Descriptor | undefined): { pid: number; start: string } | undefined {
  if (pidfd === undefined) return undefined;
  const text = Deno.readTextFileSync(`/proc/self/fdinfo/${pidfd.number}`);
  const pid = Number(/^Pid:\s*(\d+)$/m.exec(text)?.[1] ?? 0);
  const start = processStat(pid)?.start;
  return pid === 0 || start === undefined ? undefined : { pid, start };
}
