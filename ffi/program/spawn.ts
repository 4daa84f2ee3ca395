/**
 * Starts a syscall program in a new process.
 *
 * Everything here is synchronous: between making a pipe and closing the child's end of it no other child may be made,
 * and `setns` of the calling thread must be undone before anything else runs.
 *
 * @module
 */
import { hostArch } from "../arch.ts";
import { errnoName, errnoText, SyscallError } from "../errno.ts";
import { core } from "../libc.ts";
import { call } from "../syscall.ts";
import type { ConstantName } from "../constants.ts";
import { Assembly } from "./assemble.ts";
import { hygieneNumbers } from "./hygiene.ts";
import { header, headerSize, operation, operationSize } from "./layout.ts";
import { type Interpreter, leaveOutOfChildren, loadInterpreter, Mapping } from "./memory.ts";
import { constant, sumOf } from "../constants.ts";
import {
  type Data,
  Given,
  Label,
  Program,
  returnStep,
  room,
  type Slot,
  type Step,
  type Traces,
  words,
} from "./program.ts";

/** A program whose first step clones the process; the steps added afterwards are the child's. */
export class ChildProgram extends Program {
  /** Where the kernel writes the child's pidfd. */
  readonly pidfd: Data = room(8, "&pidfd");

  /**
   * @param namespaces the `CLONE_NEW…` flags of the namespaces that the child gets
   * @param intoCgroup whether it is born into the cgroup (version 2) that the given number `cgroup` is a descriptor of
   */
  constructor(readonly namespaces: readonly ConstantName[], intoCgroup = false) {
    super();
    const cloneFlags: ConstantName[] = ["CLONE_PIDFD", "CLONE_CLEAR_SIGHAND", ...namespaces];
    if (intoCgroup) cloneFlags.push("CLONE_INTO_CGROUP");
    const child = new Label("child");
    const bits = sumOf(cloneFlags);
    const cgroup = intoCgroup ? new Given("cgroup") : 0;
    // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, …_size, cgroup.
    const fields = [bits, this.pidfd, 0, 0, constant("SIGCHLD"), 0, 0, 0, 0, 0, cgroup];
    this.add({
      call: "clone3",
      args: [words(fields, `{flags=${cloneFlags.join("|")}}`), fields.length * 8],
      does: "clone the process",
      branch: { on: 0, to: child },
      allow: "any",
      // The parent may write this only while the child has not begun: the child's own steps are recorded there.
      quiet: true,
    });
    this.operations.push(returnStep);
    this.bind(child);
  }
}

/** The step of a program that failed. */
export class ProgramFailure extends Error {
  override readonly name = "ProgramFailure";
  /** Such as `ENOENT`; undefined where the result was merely not the expected one. */
  readonly code: string | undefined;

  constructor(readonly step: Step, readonly result: number, traces?: Traces) {
    const errno = result < 0 ? -result : undefined;
    const code = errno === undefined ? undefined : errnoName(errno);
    const special = code === undefined ? step.unexpected : (step.errors as Record<string, string> | undefined)?.[code];
    super(
      (traces && step.explain?.(traces)) ?? special ??
        `${step.does}: ${
          errno === undefined ? `${step.call} gave ${result} instead of ${step.expect}` : errnoText(errno)
        }`,
    );
    this.code = code;
  }
}

/** The size that glibc (2.40 and later) may have registered its rseq area with, and the area's address. */
function restartableSequences(interpreter: Interpreter): { address: bigint; size: bigint } {
  const symbols = core();
  if (symbols.__rseq_offset === null) return { address: 0n, size: 32n };
  const offset = new Deno.UnsafePointerView(symbols.__rseq_offset).getBigInt64();
  const size = symbols.__rseq_size === null ? 32 : new Deno.UnsafePointerView(symbols.__rseq_size).getUint32();
  return { address: interpreter.threadPointer() + offset, size: BigInt(Math.max(size, 33)) };
}

let rseq: { address: bigint; size: bigint } | undefined;

/** A process that performs a program. Its pidfd and arena live until {@link Child.close}. */
export class Child implements Disposable, Traces {
  readonly #view: DataView;

  constructor(
    readonly pid: number,
    readonly pidfd: number,
    readonly program: Program,
    readonly assembly: Assembly,
    readonly arena: Mapping,
  ) {
    this.#view = new DataView(arena.bytes.buffer);
  }

  #stepAt(address: bigint): Step | undefined {
    if (address === 0n) return undefined;
    const step = this.program.operations[(Number(address - this.arena.address) - headerSize) / operationSize];
    return step === returnStep ? undefined : step;
  }

  /** The step that failed, once one has. */
  failure(): ProgramFailure | undefined {
    const step = this.#stepAt(this.#view.getBigUint64(header.failed, true));
    return step && new ProgramFailure(step, Number(this.#view.getBigInt64(header.failure, true)), this);
  }

  /** See {@link Traces}. */
  resultOf(step: Step): number {
    const index = this.program.operations.indexOf(step);
    if (index < 0) throw new Error(`the program has no step "${step.does}"`);
    return Number(this.#view.getBigInt64(headerSize + index * operationSize + operation.result, true));
  }

  /** See {@link Traces}. */
  bytesOf(data: Data): Uint8Array {
    const offset = this.assembly.offsetOf(data);
    return this.arena.bytes.slice(offset, offset + data.bytes.length);
  }

  /** What `execve` was refused with, where it was: a process that dies while it looks why has died of that. */
  refusedExec(): ProgramFailure | undefined {
    for (const step of this.program.operations) {
      if (step === returnStep || step.call !== "execve") continue;
      const result = this.resultOf(step);
      if (result < 0) return new ProgramFailure(step, result, this);
    }
    return undefined;
  }

  /** Writes to the beginning of data, for a process that waits. Throws `RangeError` where it has no room for that. */
  write(data: Data, bytes: Uint8Array): void {
    if (bytes.length > data.bytes.length) throw new RangeError("the data has no room for so many bytes");
    this.arena.bytes.set(bytes, this.assembly.offsetOf(data));
  }

  /** The step that was begun last: the one under way, or the one in which the process was killed. */
  currentStep(): Step | undefined {
    return this.#stepAt(this.#view.getBigUint64(header.current, true));
  }

  /** What a step wrote to the slot. */
  resultIn(slot: Slot): bigint {
    return this.#view.getBigInt64(this.assembly.offsetOf(slot), true);
  }

  /** Closes the pidfd and gives the arena back. The process itself goes on. */
  close(): void {
    call("close", this.pidfd);
    this.arena.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What the heap has grown by since the last time is copied: so it is marked again now and then. */
const spawnsBetweenMarks = 32;
let spawned = 0;

/** Options of {@link spawn}. */
export interface SpawnOptions {
  /**
   * Whether this process starts children by syscall programs only, from now on and for ever: `Deno.Command` fails
   * afterwards. A clone takes a third of the time then.
   */
  alone?: boolean;
}

/**
 * Starts the program in a new process. `given` has the numbers of its {@link Given} arguments; those of the
 * hygiene steps are added here. Throws {@link SyscallError} where the kernel does not clone.
 */
export function spawn(program: ChildProgram, given: ReadonlyMap<string, bigint>, options: SpawnOptions = {}): Child {
  const interpreter = loadInterpreter();
  const assembly = new Assembly(program, hostArch);
  const arena = new Mapping(assembly.size);
  try {
    rseq ??= restartableSequences(interpreter);
    const numbers = new Map([...given, ...hygieneNumbers(hostArch, interpreter, arena, rseq)]);
    arena.bytes.set(assembly.at(arena.address, numbers));
    if (options.alone && spawned++ % spawnsBetweenMarks === 0) {
      leaveOutOfChildren([interpreter, arena, { address: rseq.address, size: 32 }]);
    }
    const pid = Number(interpreter.run(arena.address));
    if (pid < 0) throw new SyscallError("clone3", -pid);
    const pidfd = new DataView(arena.bytes.buffer).getInt32(assembly.offsetOf(program.pidfd), true);
    return new Child(pid, pidfd, program, assembly, arena);
  } catch (error) {
    arena.close();
    throw error;
  }
}
