/**
 * The kernel's error numbers, and the error that a failed system call becomes.
 *
 * @module
 */
import { errnoNumbers } from "./gen/errno.ts";

/** A name such as `ENOENT`. */
export type Errno = keyof typeof errnoNumbers;

const names = new Map<number, Errno>();
const texts = new Map<number, string>();
for (const [name, [number, text]] of Object.entries(errnoNumbers)) {
  names.set(number, name as Errno);
  texts.set(number, text);
}

/** Number of a named error. */
export function errnoNumber(name: Errno): number {
  return errnoNumbers[name][0];
}

/** Name of an error number, or `E?` with the number where the kernel's headers have none. */
export function errnoName(errno: number): Errno | `E?${number}` {
  return names.get(errno) ?? `E?${errno}`;
}

/** What `strerror` says, in lower case as Go's runtime writes it. */
export function errnoText(errno: number): string {
  return texts.get(errno) ?? `errno ${errno}`;
}

/** A system call that failed. */
export class SyscallError extends Error {
  override readonly name = "SyscallError";
  /** Such as `ENOENT`. */
  readonly code: string;
  readonly errno: number;
  /** Name of the call. */
  readonly syscall: string;
  /** The path that the call was about, as the user knows it, where there is one. */
  readonly path: string | undefined;

  constructor(syscall: string, errno: number, path?: string) {
    super(`${syscall}${path === undefined ? "" : ` ${path}`}: ${errnoText(errno)}`);
    this.syscall = syscall;
    this.errno = errno;
    this.code = errnoName(errno);
    this.path = path;
  }
}

/** Whether `error` is a failed system call with one of these errors. */
export function isErrno(error: unknown, ...codes: Errno[]): error is SyscallError {
  return error instanceof SyscallError && (codes as string[]).includes(error.code);
}
