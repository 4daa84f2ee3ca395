/**
 * The way to the C library: tables of symbols that are opened on first use, and `errno`.
 *
 * Every module that needs the kernel declares its own small table with {@link libc} and checks each call with
 * {@link checked}. Pass `bigint` for 64-bit parameters: a number leaves V8's fast call path (128 → 344 ns).
 *
 * @module
 */
import { SyscallError } from "./errno.ts";

const soname = "libc.so.6";

/** A function that gives the symbols of the C library declared by `table`; they are opened by its first call. */
export function libc<const T extends Deno.ForeignLibraryInterface>(
  table: T,
): () => Deno.DynamicLibrary<T>["symbols"] {
  let symbols: Deno.DynamicLibrary<T>["symbols"] | undefined;
  return () => symbols ??= Deno.dlopen(soname, table).symbols;
}

/**
 * What every personality needs, opened together: the call by number (see {@link file://./syscall.ts}), `errno`, and
 * where glibc has put its restartable sequences (missing before glibc 2.35).
 */
export const core = libc({
  syscall: {
    parameters: ["i64", /* number */ "i64", "i64", "i64", "i64", "i64", "i64"],
    result: "i64",
  },
  __errno_location: { parameters: [], result: "pointer" },
  __rseq_offset: { type: "pointer", optional: true },
  __rseq_size: { type: "pointer", optional: true },
});

let errnoCell: Int32Array | undefined;

/**
 * `errno` of this thread. To be read right after a synchronous call; calls with `nonblocking: true` run on
 * another thread and have no readable errno.
 */
export function lastErrno(): number {
  if (errnoCell === undefined) {
    const location = core().__errno_location();
    if (location === null) throw new Error("__errno_location() returned null");
    errnoCell = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, 4));
  }
  return errnoCell[0]!;
}

/** The result of a call that answers -1 on failure. Throws {@link SyscallError} with the call's name and path. */
export function checked(result: number, call: string, path?: string): number {
  if (result === -1) throw new SyscallError(call, lastErrno(), path);
  return result;
}

const encoder = new TextEncoder();

/** The text as a C string: UTF-8 with a NUL at its end. Throws `TypeError` where the text holds a NUL. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError(`${JSON.stringify(text)} holds a NUL`);
  return encoder.encode(text + "\0");
}
