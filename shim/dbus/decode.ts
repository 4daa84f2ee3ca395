/**
 * Reads values in D-Bus's binary form, of either byte order (D-Bus Specification, "Marshaling").
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { alignmentOf, parseSignature, type Type } from "./signature.ts";
import type { Value } from "./value.ts";

const textDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Containers inside of containers, variants included: the specification's limit for all of them. */
const depthMax = 64;

/** Values one after another. Positions count from the beginning of the bytes, which must be aligned to 8 in the message. */
export class Decoder {
  readonly #view: DataView;
  #position = 0;

  constructor(readonly bytes: Uint8Array, readonly littleEndian: boolean) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** How many bytes have been read. */
  get position(): number {
    return this.#position;
  }

  /** The values of a signature. Throws `DataLoss` where the bytes are none, and as `parseSignature`. */
  read(signature: string): Value[] {
    return parseSignature(signature).map((type) => this.#read(type, 0));
  }

  /** Goes to a boundary. Throws `DataLoss` where what is skipped is not zero. */
  align(boundary: number): void {
    while (this.#position % boundary !== 0) {
      if (this.#view.getUint8(this.#take(1)) !== 0) throw malformed("its padding is not zero");
    }
  }

  #read(type: Type, depth: number): Value {
    if (depth > depthMax) throw malformed(`it is nested deeper than ${depthMax}`);
    this.align(alignmentOf(type));
    switch (type.code) {
      case "y":
        return this.#view.getUint8(this.#take(1));
      case "n":
        return this.#view.getInt16(this.#take(2), this.littleEndian);
      case "q":
        return this.#view.getUint16(this.#take(2), this.littleEndian);
      case "i":
        return this.#view.getInt32(this.#take(4), this.littleEndian);
      case "u":
      case "h":
        return this.#length();
      case "x":
        return this.#view.getBigInt64(this.#take(8), this.littleEndian);
      case "t":
        return this.#view.getBigUint64(this.#take(8), this.littleEndian);
      case "d":
        return this.#view.getFloat64(this.#take(8), this.littleEndian);
      case "b":
        return this.#boolean();
      case "s":
      case "o":
        return this.#text(this.#length());
      case "g":
        return this.#signature();
      case "v":
        return this.#variant(depth);
      case "a":
        return this.#array(type.children[0]!, depth);
      default:
        return type.children.map((child) => this.#read(child, depth + 1));
    }
  }

  #length(): number {
    return this.#view.getUint32(this.#take(4), this.littleEndian);
  }

  #boolean(): boolean {
    const value = this.#length();
    if (value > 1) throw malformed(`${value} is no boolean`);
    return value === 1;
  }

  #signature(): string {
    return this.#text(this.#view.getUint8(this.#take(1)));
  }

  #text(length: number): string {
    const begin = this.#take(length);
    if (this.#view.getUint8(this.#take(1)) !== 0) throw malformed("a string does not end with a zero");
    try {
      return textDecoder.decode(this.bytes.subarray(begin, begin + length));
    } catch (error) {
      throw malformed("a string is not UTF-8", error);
    }
  }

  #variant(depth: number): Value {
    const signature = this.#signature();
    const [type, ...more] = parseSignature(signature);
    if (type === undefined || more.length > 0) throw malformed(`a variant of "${signature}" is not of one type`);
    return { signature, value: this.#read(type, depth + 1) };
  }

  #array(element: Type, depth: number): Value {
    const length = this.#length();
    this.align(alignmentOf(element));
    const end = this.#position + length;
    if (element.code === "y") {
      const begin = this.#take(length);
      return this.bytes.slice(begin, begin + length);
    }
    if (end > this.bytes.length) throw malformed("an array is longer than its message");
    const values: Value[] = [];
    // No type of D-Bus is of no length, so this ends.
    while (this.#position < end) values.push(this.#read(element, depth + 1));
    if (this.#position !== end) throw malformed("an array's length does not fit its elements");
    return values;
  }

  /** Where the next so many bytes begin. */
  #take(length: number): number {
    const begin = this.#position;
    if (begin + length > this.bytes.length) throw malformed("it ends too early");
    this.#position += length;
    return begin;
  }
}

/** The failure of a message that is none. */
export function malformed(why: string, cause?: unknown): Failure {
  return new Failure("DataLoss", `a D-Bus peer sent a malformed message: ${why}`, { cause });
}
