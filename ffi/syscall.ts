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
import { kernelAnswer, type Registers } from "./kernel_answer.ts";
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

/** Six registers' values; strings become C strings. `kept` receives what they point to, to be referenced until the end. */
function registers(args: readonly CallArg[], kept: unknown[]): Registers {
  const values: Registers = [0n, 0n, 0n, 0n, 0n, 0n];
  args.forEach((arg, index) => {
    if (typeof arg === "bigint") values[index] = arg;
    else if (typeof arg === "number") values[index] = BigInt(arg);
    else {
      const bytes = typeof arg === "string" ? cString(arg) : arg;
      kept.push(bytes);
      values[index] = bytes.byteLength === 0 ? 0n : Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
    }
  });
  return values;
}

/**
 * The result of a call, or its negative errno: where failing is an answer, an exception is 10 µs too much.
 *
 * A call that failed has done nothing and is made once more in a way that cannot lose its errno, see
 * {@link kernelAnswer}. Calls of which that is not true are made in that way at once: connect(2) begins something, and a
 * context of fsconfig(2) is broken once it has failed. After a failed close(2) the number may be another thread's.
 */
export function attempt(name: CallName, ...args: readonly CallArg[]): number {
  const kept: unknown[] = [];
  const values = registers(args, kept);
  // Two of the calls that cannot be repeated; the third one, close, is made too often to be slow.
  const answer = name === "connect" || name === "fsconfig" ? kernelAnswer(numbers[name], values) : undefined;
  if (answer !== undefined) return answer;
  const result = Number(core().syscall(BigInt(numbers[name]), ...values));
  if (result !== -1) return result;
  const errno = lastErrno();
  return (name === "close" ? undefined : kernelAnswer(numbers[name], values)) ?? -errno;
}

/** Performs a call. Throws {@link SyscallError}; its path is the first string among the arguments. */
export function call(name: CallName, ...args: readonly CallArg[]): number {
  const result = attempt(name, ...args);
  // The kernel's errors end at 4095; below that lie addresses that mmap gave.
  if (result < 0 && result >= -4095) {
    throw new SyscallError(name, -result, args.find((arg) => typeof arg === "string"));
  }
  return result;
}

/** Performs a call that waits, on a thread of Deno's pool. The error is lost there: -1 is all that is known. */
export async function callOnThread(name: CallName, ...args: readonly CallArg[]): Promise<number> {
  const kept: unknown[] = [];
  const result = await waiting().syscall(BigInt(numbers[name]), ...registers(args, kept));
  // Cleared only here, so that the memory is not collected while the call runs.
  kept.length = 0;
  return Number(result);
}
