/**
 * System calls whose answer is the kernel's own: a result, or a negative errno.
 *
 * The C library leaves an error in `errno`, which JavaScript reads a moment later. V8 may run in between (it compiles a
 * function that has become hot, waits for a lock of its compiler's threads) and calls the library itself: once in a few
 * hundred starts a failed call then had the errno of `open` of a file that the library looked for. Machine code of our own
 * returns both at once, but is called at 2 µs instead of 0.4: so it is asked only once a call has failed.
 *
 * @module
 */
import { hostArch } from "./arch.ts";
import { flags } from "./constants.ts";
import { systemCallCode } from "./gen/machine_code.ts";
import { numbers as aarch64 } from "./gen/syscalls_aarch64.ts";
import { numbers as x86_64 } from "./gen/syscalls_x86_64.ts";
import { core } from "./libc.ts";

const numbers = hostArch === "x86_64" ? x86_64 : aarch64;

/** A system call's number and its six registers. */
export type Registers = [bigint, bigint, bigint, bigint, bigint, bigint];

type Entry = (number: bigint, ...registers: Registers) => bigint;

let entry: Entry | null | undefined;

/** Maps the machine code. Null where this process may have no executable memory: `errno` must do there. */
function load(): Entry | null {
  const { hex, system_call } = systemCallCode[hostArch];
  const code = Uint8Array.fromHex(hex);
  const { syscall } = core();
  const writable = BigInt(flags("PROT_READ", "PROT_WRITE"));
  const anonymous = BigInt(flags("MAP_PRIVATE", "MAP_ANONYMOUS"));
  const address = syscall(BigInt(numbers.mmap), 0n, BigInt(code.length), writable, anonymous, -1n, 0n);
  const pointer = address === -1n ? null : Deno.UnsafePointer.create(address);
  if (pointer === null) return null;
  new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, code.length)).set(code);
  const executable = BigInt(flags("PROT_READ", "PROT_EXEC"));
  const result = syscall(BigInt(numbers.mprotect), address, BigInt(code.length), executable, 0n, 0n, 0n);
  if (result === -1n) return null;
  const call = new Deno.UnsafeFnPointer(Deno.UnsafePointer.create(address + BigInt(system_call))!, {
    parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"],
    result: "i64",
  });
  return (number, ...registers) => call.call(number, ...registers);
}

/** Performs the call. Undefined where machine code of our own cannot be had. */
export function kernelAnswer(number: number, registers: Registers): number | undefined {
  if (entry === undefined) entry = load();
  return entry === null ? undefined : Number(entry(BigInt(number), ...registers));
}
