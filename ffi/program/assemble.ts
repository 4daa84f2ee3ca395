/**
 * Turns a program into bytes for a given address.
 *
 * @module
 */
import type { Arch } from "../arch.ts";
import { constant } from "../constants.ts";
import { errnoNumber } from "../errno.ts";
import { numbers as aarch64 } from "../gen/syscalls_aarch64.ts";
import { numbers as x86_64 } from "../gen/syscalls_x86_64.ts";
import { header, headerSize, mode, operation, operationSize, returnNumber } from "./layout.ts";
import {
  type Arg,
  Data,
  Flags,
  Given,
  type Label,
  type Program,
  returnStep,
  Slot,
  type Step,
  text,
} from "./program.ts";

const numbers = { x86_64, aarch64 };

/** Where everything of a program stands, relative to its first byte. */
interface Layout {
  size: number;
  /** Data and slots → offset. */
  offsets: Map<Data | Slot, number>;
  /** Strings given as arguments → their data. */
  strings: Map<string, Data>;
}

/** Gives every slot, string and data its place after the operations; equal strings share one. */
function layOut(program: Program): Layout {
  const offsets = new Map<Data | Slot, number>();
  const strings = new Map<string, Data>();
  let size = headerSize + program.operations.length * operationSize;
  const place = (target: Data | Slot): void => {
    if (offsets.has(target)) return;
    offsets.set(target, size);
    size += target instanceof Slot ? 8 : (target.bytes.length + 7) & ~7;
    if (target instanceof Data) {
      for (const [, pointed] of target.pointers) {
        if (pointed instanceof Data) place(pointed);
      }
    }
  };
  for (const step of program.operations) {
    if (step === returnStep) continue;
    for (const arg of step.args) {
      if (typeof arg === "string") {
        let data = strings.get(arg);
        if (data === undefined) strings.set(arg, data = text(arg));
        place(data);
      } else if (arg instanceof Data || arg instanceof Slot) place(arg);
    }
    if (step.into !== undefined) place(step.into instanceof Slot ? step.into : step.into.data);
  }
  return { size, offsets, strings };
}

/** A program whose place in memory is still open. */
export class Assembly {
  /** How many bytes the program takes. */
  readonly size: number;
  readonly #layout: Layout;

  constructor(readonly program: Program, readonly arch: Arch) {
    this.#layout = layOut(program);
    this.size = this.#layout.size;
  }

  /** Where data or a slot stands, counted from the program's first byte. Throws where the program does not use it. */
  offsetOf(target: Data | Slot): number {
    const offset = this.#layout.offsets.get(target);
    if (offset === undefined) throw new Error("the program does not hold this data");
    return offset;
  }

  /**
   * The program's bytes, to stand at `address`; `given` has the numbers of its {@link Given} arguments.
   * Throws where a label was never bound, a given number is missing or a call has too many arguments.
   */
  at(address: bigint, given: ReadonlyMap<string, bigint> = new Map()): Uint8Array<ArrayBuffer> {
    return new Writer(this, this.#layout.strings, address, given).write(this.#layout.offsets);
  }
}

/** Writes one program to one address. */
class Writer {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  constructor(
    readonly assembly: Assembly,
    readonly strings: Map<string, Data>,
    readonly address: bigint,
    readonly given: ReadonlyMap<string, bigint>,
  ) {
    this.#bytes = new Uint8Array(assembly.size);
    this.#view = new DataView(this.#bytes.buffer);
  }

  write(offsets: Map<Data | Slot, number>): Uint8Array<ArrayBuffer> {
    this.#put(header.first, this.address + BigInt(headerSize));
    this.assembly.program.operations.forEach((step, index) => {
      const at = headerSize + index * operationSize;
      if (step === returnStep) this.#view.setUint32(at + operation.number, returnNumber, true);
      else this.#putStep(at, step);
    });
    for (const [target, offset] of offsets) {
      if (target instanceof Slot) continue;
      this.#bytes.set(target.bytes, offset);
      for (const [at, pointed] of target.pointers) this.#put(offset + at, this.#valueOf(pointed));
    }
    return this.#bytes;
  }

  #put(offset: number, value: bigint): void {
    this.#view.setBigUint64(offset, BigInt.asUintN(64, value), true);
  }

  #addressOf(target: Data | Slot): bigint {
    return this.address + BigInt(this.assembly.offsetOf(target));
  }

  #stepAddress(label: Label): bigint {
    if (label.index === undefined || label.index >= this.assembly.program.operations.length) {
      throw new Error(`label ${label.name} is bound to no step`);
    }
    return this.address + BigInt(headerSize + label.index * operationSize);
  }

  #valueOf(arg: Arg): bigint {
    if (typeof arg === "number" || typeof arg === "bigint") return BigInt(arg);
    if (typeof arg === "string") return this.#addressOf(this.strings.get(arg)!);
    if (arg instanceof Flags) return arg.names.reduce((sum, name) => sum | constant(name, this.assembly.arch), 0n);
    if (!(arg instanceof Given)) return this.#addressOf(arg);
    const value = this.given.get(arg.name);
    if (value === undefined) throw new Error(`the program needs "${arg.name}", which was not given`);
    return value;
  }

  #putStep(at: number, step: Step): void {
    if (step.args.length > 6) throw new Error(`${step.call} has more than six arguments`);
    let bits = step.quiet ? mode.quiet : 0;
    step.args.forEach((arg, index) => {
      if (arg instanceof Slot) bits |= 1 << index;
      this.#put(at + operation.args + index * 8, this.#valueOf(arg));
    });
    if (step.expect !== undefined) bits |= mode.exact;
    if (step.branch !== undefined) bits |= mode.branch;
    const expected = step.expect ?? step.branch?.on;
    if (expected !== undefined) this.#put(at + operation.expect, BigInt(expected));
    const then = step.branch?.to ?? step.then;
    if (then !== undefined) this.#put(at + operation.then, this.#stepAddress(then));
    if (step.otherwise !== undefined) this.#put(at + operation.otherwise, this.#stepAddress(step.otherwise));
    this.#putAllowed(at + operation.allowed, step);
    const { into } = step;
    if (into instanceof Slot) this.#put(at + operation.into, this.#addressOf(into));
    else if (into !== undefined) this.#put(at + operation.into, this.#addressOf(into.data) + BigInt(into.offset));
    this.#view.setUint32(at + operation.number, numbers[this.assembly.arch][step.call], true);
    this.#view.setUint32(at + operation.mode, bits, true);
  }

  #putAllowed(at: number, step: Step): void {
    if (step.allow === "any") {
      this.#put(at, -1n);
      this.#put(at + 8, -1n);
      return;
    }
    for (const name of step.allow ?? []) {
      const errno = errnoNumber(name);
      const word = at + (errno >> 6) * 8;
      this.#put(word, this.#view.getBigUint64(word, true) | 1n << BigInt(errno & 63));
    }
  }
}
