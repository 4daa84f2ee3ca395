/**
 * System calls by number, through one symbol.
 *
 * Each symbol that a process opens costs 0.2 ms, which is more than most calls here take: what is called a few times
 * only goes through this one. Calls in bulk (applying layers) declare their own symbols, see {@link file://./libc.ts}.
 *
 * @module
 */
import { hostArch } from "./arch.ts";
import { SyscallError } from "./errno.ts";
import { numbers as aarch64 } from "./gen/syscalls_aarch64.ts";
import { numbers as x86_64 } from "./gen/syscalls_x86_64.ts";
import { core, cString, lastErrno, libc } from "./libc.ts";

/** A system call that both architectures have. */
export type CallName = keyof typeof x86_64 & keyof typeof aarch64;

/** A number, the address of bytes, or a path that becomes a C string. */
export type CallArg = number | bigint | ArrayBufferView<ArrayBuffer> | string;

const numbers = hostArch === "x86_64" ? x86_64 : aarch64;

const waiting = libc({
  syscall: {
    parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"],
    result: "i64",
    nonblocking: true,
  },
});

/** The argument as a register's value. What is pointed to must be referenced until the call is over. */
function register(arg: CallArg | undefined): bigint {
  if (arg === undefined) return 0n;
  if (typeof arg === "number") return BigInt(arg);
  if (typeof arg === "bigint") return arg;
  if (typeof arg === "string") throw new TypeError("a path must have become a C string");
  return arg.byteLength === 0 ? 0n : Deno.UnsafePointer.value(Deno.UnsafePointer.of(arg));
}

/** Strings become C strings, in a list that the caller keeps. */
function withBytes(args: readonly CallArg[]): CallArg[] {
  return args.map((arg) => typeof arg === "string" ? cString(arg) : arg);
}

/** Performs a call. Throws {@link SyscallError}; its path is the first string among the arguments. */
export function call(name: CallName, ...args: readonly CallArg[]): number {
  const kept = withBytes(args);
  const result = Number(
    core().syscall(
      BigInt(numbers[name]),
      register(kept[0]),
      register(kept[1]),
      register(kept[2]),
      register(kept[3]),
      register(kept[4]),
      register(kept[5]),
    ),
  );
  if (result === -1) {
    throw new SyscallError(name, lastErrno(), args.find((arg) => typeof arg === "string"));
  }
  return result;
}

/** Performs a call that waits, on a thread of Deno's pool. The error is lost there: -1 is all that is known. */
export async function callOnThread(name: CallName, ...args: readonly CallArg[]): Promise<number> {
  const kept = withBytes(args);
  const result = await waiting().syscall(
    BigInt(numbers[name]),
    register(kept[0]),
    register(kept[1]),
    register(kept[2]),
    register(kept[3]),
    register(kept[4]),
    register(kept[5]),
  );
  // Referenced here, so that the memory cannot be collected while the call runs.
  return kept.length === args.length ? Number(result) : -1;
}
