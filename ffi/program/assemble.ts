/**
 * Turns a program into bytes.
 *
 * This runs once, cold, in a process that lives for a few milliseconds: one pass, numbers instead of bigints, no
 * objects for each argument. Addresses are written relative to the program's first byte and listed; when its place is
 * known they are moved there.
 *
 * @module
 */
import type { Arch } from "../arch.ts";
import { sumOf } from "../constants.ts";
import { errnoNumber } from "../errno.ts";
import { numbers as aarch64 } from "../gen/syscalls_aarch64.ts";
import { numbers as x86_64 } from "../gen/syscalls_x86_64.ts";
import { header, headerSize, mode, operation, operationSize, returnNumber } from "./layout.ts";
import { type Arg, Data, Flags, Given, type Label, type Program, returnStep, Slot, type Step } from "./program.ts";

const numbers = { x86_64, aarch64 };
const encoder = new TextEncoder();
const two32 = 0x1_0000_0000;

/** An operation has 128 bits for the errors that it allows. */
const errnosMax = 128;

/** The words of an array of bytes; sizes here are multiples of 8. */
function wordsOf(bytes: Uint8Array<ArrayBuffer>): Uint32Array {
  return new Uint32Array(bytes.buffer, 0, bytes.length >> 2);
}

/** A program as bytes whose place in memory is still open. */
export class Assembly {
  #bytes: Uint8Array<ArrayBuffer>;
  #words: Uint32Array;
  /** End of what is used of {@link #bytes}. */
  #end: number;
  readonly #offsets = new Map<Data | Slot | string, number>();
  /** Offsets of 64-bit words that hold an address relative to the first byte. */
  readonly #relocations: number[] = [];
  readonly #givens: [offset: number, name: string][] = [];

  /** Throws where a label was never bound or a call has too many arguments. */
  constructor(readonly program: Program, readonly arch: Arch) {
    const count = program.operations.length;
    this.#end = headerSize + count * operationSize;
    this.#bytes = new Uint8Array(this.#end + 16384);
    this.#words = wordsOf(this.#bytes);
    this.#putAddress(header.first, headerSize);
    for (let index = 0; index < count; index++) {
      const step = program.operations[index]!;
      const at = headerSize + index * operationSize;
      if (step === returnStep) this.#words[at >> 2] = returnNumber;
      else this.#putStep(at, step);
    }
  }

  /** How many bytes the program takes. */
  get size(): number {
    return this.#end;
  }

  /** Where data or a slot stands, counted from the program's first byte. Throws where the program does not use it. */
  offsetOf(target: Data | Slot): number {
    const offset = this.#offsets.get(target);
    if (offset === undefined) throw new Error("the program does not hold this data");
    return offset;
  }

  /**
   * The program's bytes, to stand at `address`; `given` has the numbers of its {@link Given} arguments.
   * Throws where a given number is missing.
   */
  at(address: bigint, given: ReadonlyMap<string, bigint> = new Map()): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes.slice(0, this.#end);
    const words = wordsOf(bytes);
    const base = Number(address);
    for (const offset of this.#relocations) {
      const value = base + words[offset >> 2]!;
      words[offset >> 2] = value % two32;
      words[(offset >> 2) + 1] = value / two32;
    }
    const view = new DataView(bytes.buffer);
    for (const [offset, name] of this.#givens) {
      const value = given.get(name);
      if (value === undefined) throw new Error(`the program needs "${name}", which was not given`);
      view.setBigUint64(offset, BigInt.asUintN(64, value), true);
    }
    return bytes;
  }

  /** Takes room at the end, in units of 8 bytes. */
  #take(size: number): number {
    const offset = this.#end;
    this.#end += (size + 7) & ~7;
    if (this.#end > this.#bytes.length) {
      const larger = new Uint8Array(this.#end * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#words = wordsOf(larger);
    }
    return offset;
  }

  #placeText(value: string): number {
    let offset = this.#offsets.get(value);
    if (offset !== undefined) return offset;
    if (value.includes("\0")) throw new TypeError(`${JSON.stringify(value)} holds a NUL`);
    // At most three bytes of UTF-8 for each UTF-16 unit; the NUL is there already.
    offset = this.#take(value.length * 3 + 1);
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(offset));
    this.#end = offset + ((written + 8) & ~7);
    this.#offsets.set(value, offset);
    return offset;
  }

  #place(target: Data | Slot): number {
    let offset = this.#offsets.get(target);
    if (offset !== undefined) return offset;
    offset = this.#take(target instanceof Slot ? 8 : target.bytes.length);
    this.#offsets.set(target, offset);
    if (target instanceof Slot) return offset;
    this.#bytes.set(target.bytes, offset);
    for (const [at, pointed] of target.pointers) this.#putArg(offset + at, pointed);
    return offset;
  }

  #putNumber(offset: number, value: number): void {
    this.#words[offset >> 2] = value;
    this.#words[(offset >> 2) + 1] = Math.floor(value / two32);
  }

  #putBigint(offset: number, value: bigint): void {
    this.#words[offset >> 2] = Number(value & 0xffffffffn);
    this.#words[(offset >> 2) + 1] = Number(value >> 32n & 0xffffffffn);
  }

  #putAddress(offset: number, relative: number): void {
    this.#words[offset >> 2] = relative;
    this.#relocations.push(offset);
  }

  #putArg(offset: number, arg: Arg): void {
    if (typeof arg === "number") this.#putNumber(offset, arg);
    else if (typeof arg === "string") this.#putAddress(offset, this.#placeText(arg));
    else if (arg instanceof Flags) this.#putNumber(offset, sumOf(arg.names, this.arch));
    else if (arg instanceof Slot || arg instanceof Data) this.#putAddress(offset, this.#place(arg));
    else if (arg instanceof Given) this.#givens.push([offset, arg.name]);
    else this.#putBigint(offset, arg);
  }

  #putLabel(offset: number, label: Label): void {
    if (label.index === undefined || label.index >= this.program.operations.length) {
      throw new Error(`label ${label.name} is bound to no step`);
    }
    this.#putAddress(offset, headerSize + label.index * operationSize);
  }

  #putStep(at: number, step: Step): void {
    const { args, branch, allow, into } = step;
    if (args.length > 6) throw new Error(`${step.call} has more than six arguments`);
    let bits = step.quiet ? mode.quiet : 0;
    for (let index = 0; index < args.length; index++) {
      const arg = args[index]!;
      if (arg instanceof Slot) bits |= 1 << index;
      this.#putArg(at + operation.args + index * 8, arg);
    }
    if (step.expect !== undefined) {
      bits |= mode.exact;
      this.#putNumber(at + operation.expect, step.expect);
    }
    if (branch !== undefined) {
      bits |= mode.branch;
      this.#putNumber(at + operation.expect, branch.on);
      this.#putLabel(at + operation.then, branch.to);
    } else if (step.then !== undefined) this.#putLabel(at + operation.then, step.then);
    if (step.otherwise !== undefined) this.#putLabel(at + operation.otherwise, step.otherwise);
    if (allow !== undefined) this.#putAllowed(at + operation.allowed, allow);
    if (into instanceof Slot) this.#putAddress(at + operation.into, this.#place(into));
    else if (into !== undefined) this.#putAddress(at + operation.into, this.#place(into.data) + into.offset);
    this.#words[at >> 2] = numbers[this.arch][step.call];
    this.#words[(at >> 2) + 1] = bits;
  }

  #putAllowed(at: number, allow: NonNullable<Step["allow"]>): void {
    if (allow === "any") {
      for (let word = 0; word < 4; word++) this.#words[(at >> 2) + word] = -1;
      return;
    }
    for (const name of allow) {
      const errno = errnoNumber(name);
      if (errno >= errnosMax) throw new Error(`${name} is beyond the errors that a step can allow`);
      this.#words[(at >> 2) + (errno >> 5)]! |= 1 << (errno & 31);
    }
  }
}
