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
import { checked, lastErrno, libc } from "../libc.ts";
import { SyscallError } from "../errno.ts";

const library = libc({
  mmap: {
    parameters: ["u64", /* addr */ "u64", /* length */ "i32", /* prot */ "i32", /* flags */ "i32", /* fd */ "i64"],
    result: "u64",
  },
  mprotect: { parameters: ["u64", /* addr */ "u64", /* len */ "i32" /* prot */], result: "i32" },
  munmap: { parameters: ["u64", /* addr */ "u64" /* length */], result: "i32" },
  getpagesize: { parameters: [], result: "i32" },
});

/** Bytes of a page of memory; 4 KiB on x86_64, up to 64 KiB on aarch64. */
export function pageSize(): number {
  return library().getpagesize();
}

/** A mapping of its own, with its bytes; {@link Mapping.close} unmaps it. */
export class Mapping implements Disposable {
  readonly address: bigint;
  readonly size: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  #open = true;

  /** Maps at least `size` bytes of zeros. Throws {@link SyscallError} where memory is short. */
  constructor(size: number) {
    const page = pageSize();
    this.size = Math.ceil(size / page) * page;
    this.address = library().mmap(
      0n,
      BigInt(this.size),
      flags("PROT_READ", "PROT_WRITE"),
      flags("MAP_SHARED", "MAP_ANONYMOUS"),
      -1,
      0n,
    );
    if (this.address === 0xffffffffffffffffn) throw new SyscallError("mmap", lastErrno());
    const pointer = Deno.UnsafePointer.create(this.address);
    if (pointer === null) throw new Error("mmap gave address zero");
    this.bytes = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, this.size));
  }

  /** Unmaps the memory. {@link Mapping.bytes} must not be touched afterwards. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    checked(library().munmap(this.address, BigInt(this.size)), "munmap");
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The interpreter, ready to be called. */
export interface Interpreter {
  address: bigint;
  size: number;
  /** Performs the program whose header stands at the address; gives the result of the step before its return step. */
  run(header: bigint): bigint;
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
  checked(library().mprotect(page.address, BigInt(page.size), flags("PROT_READ", "PROT_EXEC")), "mprotect");
  const entry = <const T extends Deno.ForeignFunction>(offset: number, definition: T) =>
    new Deno.UnsafeFnPointer(Deno.UnsafePointer.create(page.address + BigInt(offset))!, definition);
  const runEntry = entry(run, { parameters: ["u64"], result: "i64" });
  const threadPointerEntry = entry(thread_pointer, { parameters: [], result: "u64" });
  return interpreter = {
    address: page.address,
    size: page.size,
    run: (header) => runEntry.call(header),
    threadPointer: () => threadPointerEntry.call(),
  };
}
