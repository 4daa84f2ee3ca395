/**
 * What a bundle tells a successor of its shim about the container's processes.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Process } from "../../api/oci/runtime_spec.ts";
import { readTextIfThere } from "../../ffi/if_there.ts";
import type { StdioFields } from "../io/stdio_plan.ts";

/** A process that was made. */
export interface ProcessRecord {
  readonly pid: number;
  /** Field 22 of `/proc/PID/stat`; tells it from a later process of this number. */
  readonly start: string;
  /** Inodes of the pipes that are its standard streams. */
  readonly pipes: Readonly<Partial<Record<"stdin" | "stdout" | "stderr", number>>>;
  /** The logging program that reads its output. */
  readonly logger?: { readonly pid: number; readonly start: string };
  /** Whether no client may write to it any more (CloseIO). */
  readonly stdinClosed: boolean;
}

/** An exec. */
export interface ExecRecord {
  readonly execId: string;
  readonly stdio: StdioFields;
  readonly spec: Process;
  /** Missing before its start. */
  readonly process?: ProcessRecord;
}

/** Contents of `task.json`. */
export interface TaskRecord {
  readonly version: 1;
  readonly stdio: StdioFields;
  /** Where its root was mounted on the host. */
  readonly mounted?: string;
  readonly init: ProcessRecord;
  readonly execs: readonly ExecRecord[];
}

const fileName = "task.json";

/** Replaces the record as a whole; without effect where the bundle is gone. */
export function writeTaskRecord(bundle: string, record: TaskRecord): void {
  const temporary = `${bundle}/${fileName}.new`;
  try {
    Deno.writeTextFileSync(temporary, JSON.stringify(record), { mode: 0o600 });
    Deno.renameSync(temporary, `${bundle}/${fileName}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Whether there is a record: without one nobody can take the container over. */
export function hasTaskRecord(bundle: string): boolean {
  try {
    return Deno.statSync(`${bundle}/${fileName}`).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The record. Throws `FailedPrecondition` where there is none, or one of a version that this program does not know. */
export function readTaskRecord(bundle: string): TaskRecord {
  const text = readTextIfThere(`${bundle}/${fileName}`);
  if (text === undefined) {
    throw new Failure("FailedPrecondition", `"${bundle}" does not tell which processes its container has`);
  }
  // Written by this module alone, but maybe by another version of it.
  const record = JSON.parse(text) as Omit<TaskRecord, "version"> & { version: number };
  if (record.version === 1) return { ...record, version: 1 };
  throw new Failure("FailedPrecondition", `"${bundle}/${fileName}" has version ${record.version}: want 1`);
}
