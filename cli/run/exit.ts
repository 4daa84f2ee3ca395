/**
 * Failures of `barge run` as exit codes and sentences: the edge at which errors become docker's codes.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { SyscallError } from "../../ffi/errno.ts";
import { ProgramFailure } from "../../ffi/program/spawn.ts";

/** 127 where the program is not there, 126 where it cannot be run, 125 for everything else. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof ProgramFailure)) return 125;
  const { call, does, explain } = error.step;
  // A step that explains is the last one of those that look why execve failed.
  if (call !== "execve" && explain === undefined && !does.startsWith("find ")) return 125;
  const { message } = error;
  return /executable file not found|no such file or directory|not a directory/.test(message) ? 127 : 126;
}

/** One sentence on standard error. A mistake of barge's own comes with its stack. */
export function reportFailure(error: unknown): void {
  // Errors of the operating system that Deno throws carry the errno's name as their code.
  const isSystems = error instanceof Error && "code" in error && /^E[A-Z0-9]+$/.test(String(error.code));
  const isOperating = error instanceof Failure || error instanceof ProgramFailure || error instanceof SyscallError ||
    isSystems;
  const text = isOperating ? messageOf(error) : error instanceof Error ? error.stack ?? error.message : String(error);
  console.error(`barge: ${text}`);
}
