/**
 * Memory that a syscall program lives in: one page of machine code per process, one shared arena per program.
 *
 * The arena is MAP_SHARED: what the child records in it is seen here without a system call of the child's, so that no
 * seccomp filter can silence it.
 *
 * @module
 */
import { hostArch } from "../arch.ts";
import { flags } from "../constants.ts";
import { machineCode } from "../gen/machine_code.ts";
import { isErrno } from "../errno.ts";
import { call } from "../syscall.ts";

/** Mappings are multiples of this: the largest page that aarch64 may have, and a multiple of x86_64's. */
const granule = hostArch === "aarch64" ? 65536 : 4096;

/** A mapping of its own, with its bytes; {@link Mapping.close} unmaps it. */
export class Mapping implements Disposable {
  readonly address: bigint;
  readonly size: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  #open = true;

  /** Maps at least `size` bytes of zeros. Throws {@link SyscallError} where memory is short. */
  constructor(size: number) {
    this.size = Math.ceil(size / granule) * granule;
    const protection = flags("PROT_READ", "PROT_WRITE");
    // User space ends below 2^53 on every machine that barge runs on: a number holds the address.
    this.address = BigInt(call("mmap", 0, this.size, protection, flags("MAP_SHARED", "MAP_ANONYMOUS"), -1, 0));
    const pointer = Deno.UnsafePointer.create(this.address);
    if (pointer === null) throw new Error("mmap gave address zero");
    this.bytes = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, this.size));
  }

  /** Unmaps the memory. {@link Mapping.bytes} must not be touched afterwards. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    call("munmap", this.address, this.size);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A range of addresses. */
export interface Range {
  address: bigint;
  size: number;
}

/** Above every address of user space, and below 2^53. */
const endOfMemory = 0x7ffffffff000;

/**
 * Leaves everything but the ranges out of future children of this process (madvise(2) MADV_DONTFORK). A clone then copies
 * hardly any page tables, and this process pays no fault for each page that it writes afterwards. For processes that
 * start no other children than by syscall programs: one that returns to the C library would find nothing.
 */
export function leaveOutOfChildren(kept: readonly Range[]): void {
  let start = 0;
  const leaveOut = (end: number): void => {
    if (end <= start) return;
    try {
      call("madvise", start, end - start, flags("MADV_DONTFORK"));
    } catch (error) {
      // ENOMEM: there are holes; all that is mapped has been marked. EINVAL: special mappings of the kernel's, likewise.
      if (!isErrno(error, "ENOMEM", "EINVAL")) throw error;
    }
  };
  for (const { address, size } of kept.toSorted((a, b) => Number(a.address - b.address))) {
    leaveOut(Math.floor(Number(address) / granule) * granule);
    start = Math.ceil((Number(address) + size) / granule) * granule;
  }
  leaveOut(endOfMemory);
}

/** The interpreter, ready to be called. */
export interface Interpreter {
  address: bigint;
  size: number;
  /** Performs the program whose header stands at the address; gives the result of the step before its return step. */
  run(header: bigint): bigint;
  /** The same on a thread of Deno's pool. */
  runOnThread(header: bigint): Promise<bigint>;
  /** Address of the calling thread's control block, which rseq's area is counted from. */
  threadPointer(): bigint;
}

let interpreter: Interpreter | undefined;

/** The process's interpreter. Its page is written once and executable only afterwards. */
export function loadInterpreter(): Interpreter {
  if (interpreter !== undefined) return interpreter;
  const { hex, run, thread_pointer } = machineCode[hostArch];
  const code = Uint8Array.fromHex(hex);
  const page = new Mapping(code.length);
  page.bytes.set(code);
  call("mprotect", page.address, page.size, flags("PROT_READ", "PROT_EXEC"));
  const entry = <const T extends Deno.ForeignFunction>(offset: number, definition: T) =>
    new Deno.UnsafeFnPointer(Deno.UnsafePointer.create(page.address + BigInt(offset))!, definition);
  const runEntry = entry(run, { parameters: ["u64"], result: "i64" });
  const threadEntry = entry(run, { parameters: ["u64"], result: "i64", nonblocking: true });
  const threadPointerEntry = entry(thread_pointer, { parameters: [], result: "u64" });
  return interpreter = {
    address: page.address,
    size: page.size,
    run: (header) => runEntry.call(header),
    runOnThread: (header) => threadEntry.call(header),
    threadPointer: () => threadPointerEntry.call(),
  };
}
