/**
 * Syscall programs: lists of system calls as data.
 *
 * A program is made by a pure function, can be printed ({@link file://./format.ts}) and is turned into bytes for one
 * address of memory ({@link file://./assemble.ts}). A child that clone3 has just made then performs it step by step,
 * with no libc, no heap and no JavaScript, until one of the steps is `execve`.
 *
 * A step fails the whole program unless its error is among those it allows, or its result is not the one it expects.
 *
 * @module
 */
import type { Errno } from "../errno.ts";
import type { ConstantName } from "../constants.ts";
import type { CallName } from "../syscall.ts";

/** The place of a step that others jump to; bound by {@link Program.bind}. */
export class Label {
  /** Index of the step, once bound. */
  index: number | undefined;
  constructor(readonly name: string) {}
}

/** 64 bits of memory that steps write their result to, and that later steps take arguments from. */
export class Slot {
  constructor(readonly name: string) {}
}

/** A sum of named constants, resolved for the architecture when the program is assembled. */
export class Flags {
  constructor(readonly names: readonly ConstantName[]) {}
}

/** A number that is known only when the program is assembled: a descriptor, an address of the process. */
export class Given {
  constructor(readonly name: string) {}
}

/** Bytes in the program's memory, with addresses of other data and given numbers in some places. */
export class Data {
  /** Offset in {@link bytes} → what stands there as a 64-bit word. */
  readonly pointers: [offset: number, target: Data | Given][] = [];
  /**
   * @param bytes the contents
   * @param how how a printed plan shows it; a function where making the text takes time, which a start has not
   */
  constructor(readonly bytes: Uint8Array, readonly how: string | (() => string)) {}

  /** How a printed plan shows it. */
  get shown(): string {
    return typeof this.how === "string" ? this.how : this.how();
  }
}

/** An argument: a number, a C string, data by address, flags by name, a given number, the result of an earlier step. */
export type Arg = number | bigint | string | Data | Flags | Given | Slot;

/** Where a result is written besides: a slot, or 64 bits inside data. */
export type Destination = Slot | { data: Data; offset: number };

/** What a process has left behind of the steps that it has performed. */
export interface Traces {
  /** The kernel's last answer to the step: negative for an error, 0 also where it was not performed. */
  resultOf(step: Step): number;
  /** Data as it is now, with what system calls have written there. */
  bytesOf(data: Data): Uint8Array;
}

/** One system call of a program. */
export interface Step {
  call: CallName;
  args: readonly Arg[];
  /** What it does, for the sentence that reports its failure: "mount proc on /proc". */
  does: string;
  /** The only good result; without it any result that is no error is good. */
  expect?: number;
  /** On this very result, which may be an error's negative number, the program goes on at the label, otherwise at the next step. */
  branch?: { on: number; to: Label };
  /** Where the program goes on after success; the next step without. */
  then?: Label;
  /** Errors that do not end the program. */
  allow?: readonly Errno[] | "any";
  /** Where it goes on after an allowed error; the next step without. */
  otherwise?: Label;
  into?: Destination;
  /** Not recorded as the step that is under way; for processes that share the header with another. */
  quiet?: boolean;
  /** The sentence for a result that is not the expected one, where that means something particular. */
  unexpected?: string;
  /** Sentences for errors that mean something particular here; `does` with the error's text otherwise. */
  errors?: Partial<Record<Errno, string>>;
  /** The sentence for its failure from what earlier steps have found out, where that says more; it comes before `errors`. */
  explain?: (traces: Traces) => string | undefined;
}

/** The end of the part that the calling process itself performs: run() returns the last result. */
export const returnStep = Symbol("return");

/** What a program consists of. */
export type Operation = Step | typeof returnStep;

/** A program that is being made. Steps are performed in the order in which they are added. */
export class Program {
  readonly operations: Operation[] = [];

  /** Adds a step. */
  add(step: Step): void {
    this.operations.push(step);
  }

  /** Adds a step whose result later steps need, and gives the slot that holds it. */
  result(name: string, step: Omit<Step, "into">): Slot {
    const slot = new Slot(name);
    this.add({ ...step, into: slot });
    return slot;
  }

  /** Binds the label to the next step that is added. */
  bind(label: Label): void {
    if (label.index !== undefined) throw new Error(`label ${label.name} is bound twice`);
    label.index = this.operations.length;
  }
}

/** A sum of named constants. */
export function flag(...names: ConstantName[]): Flags {
  return new Flags(names);
}

const encoder = new TextEncoder();

/** A C string as data. Throws `TypeError` where the text holds a NUL. */
export function text(value: string): Data {
  if (value.includes("\0")) throw new TypeError(`${JSON.stringify(value)} holds a NUL`);
  return new Data(encoder.encode(value + "\0"), () => JSON.stringify(value));
}

/** A NULL-terminated array of C strings, as `execve` takes them; data among them has its NUL. */
export function textArray(values: readonly (string | Data)[]): Data {
  const data = new Data(
    new Uint8Array((values.length + 1) * 8),
    `[${values.map((value) => value instanceof Data ? value.shown : JSON.stringify(value)).join(", ")}]`,
  );
  values.forEach((value, index) => data.pointers.push([index * 8, value instanceof Data ? value : text(value)]));
  return data;
}

function formatWord(value: number | bigint | Data | Given): string {
  if (value instanceof Data) return value.shown;
  return value instanceof Given ? `<${value.name}>` : value.toString();
}

/** A struct of 64-bit words; data among them become their address, given numbers their value. */
export function words(values: readonly (number | bigint | Data | Given)[], how?: Data["how"]): Data {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  const data = new Data(
    bytes,
    how ?? (() => `{${values.map(formatWord).join(", ")}}`),
  );
  values.forEach((value, index) => {
    if (typeof value === "object") data.pointers.push([index * 8, value]);
    else if (typeof value === "bigint") view.setBigUint64(index * 8, BigInt.asUintN(64, value), true);
    else {
      view.setUint32(index * 8, value, true);
      view.setInt32(index * 8 + 4, Math.floor(value / 0x1_0000_0000), true);
    }
  });
  return data;
}

/** Room for `size` bytes, zero at first. */
export function room(size: number, shown: string): Data {
  return new Data(new Uint8Array(size), shown);
}
