import { deepStrictEqual as equal } from "node:assert/strict";
import { hostArch } from "./arch.ts";
import { flags } from "./constants.ts";
import { errnoNumber } from "./errno.ts";
import { numbers as aarch64 } from "./gen/syscalls_aarch64.ts";
import { numbers as x86_64 } from "./gen/syscalls_x86_64.ts";
import { kernelAnswer } from "./kernel_answer.ts";
import { attempt } from "./syscall.ts";

const numbers = hostArch === "x86_64" ? x86_64 : aarch64;

Deno.test("kernelAnswer gives a call's result, and the negative errno of one that failed", () => {
  equal(kernelAnswer(numbers.getpid, [0n, 0n, 0n, 0n, 0n, 0n]), Deno.pid);
  equal(kernelAnswer(numbers.close, [-1n, 0n, 0n, 0n, 0n, 0n]), -errnoNumber("EBADF"));
});

Deno.test("kernelAnswer passes all six registers on", () => {
  const [size, anonymous] = [4096n, BigInt(flags("MAP_PRIVATE", "MAP_ANONYMOUS"))];
  const readable = BigInt(flags("PROT_READ"));
  const address = kernelAnswer(numbers.mmap, [0n, size, readable, anonymous, -1n, 0n])!;
  equal(address > 0 && address % 4096 === 0, true, String(address));
  // The sixth register is the offset: one that is no multiple of a page is refused.
  equal(kernelAnswer(numbers.mmap, [0n, size, readable, anonymous, -1n, 1n]), -errnoNumber("EINVAL"));
  equal(kernelAnswer(numbers.munmap, [BigInt(address), size, 0n, 0n, 0n, 0n]), 0);
});

Deno.test("attempt gives the errno of each call, whatever V8 does in between", () => {
  // While these functions become hot V8's compiler calls the C library as well, once in a life: see kernel_answer.ts.
  for (let round = 0; round < 5000; round++) {
    equal(attempt("openat", flags("AT_FDCWD"), "/", flags("O_WRONLY"), 0), -errnoNumber("EISDIR"));
    equal(attempt("readlinkat", flags("AT_FDCWD"), "/", new Uint8Array(8), 8), -errnoNumber("EINVAL"));
  }
});
