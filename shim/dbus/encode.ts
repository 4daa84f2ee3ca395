/**
 * Writes values in D-Bus's binary form, little-endian (D-Bus Specification, "Marshaling").
 *
 * @module
 */
import { alignmentOf, parseSignature, type Type } from "./signature.ts";
import { isVariant, type Value } from "./value.ts";

const textEncoder = new TextEncoder();

/** Bytes that grow as values are added. Positions count from its beginning, which must be aligned to 8 in the message. */
export class Encoder {
  #bytes = new Uint8Array(512);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** What was written. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Adds one value for each complete type of the signature. Throws `TypeError` for values of other types. */
  add(signature: string, values: readonly Value[]): void {
    const types = parseSignature(signature);
    if (types.length !== values.length) throw new TypeError(`${values.length} values for "${signature}"`);
    types.forEach((type, index) => this.#add(type, values[index]!));
  }

  /** Fills with zeros up to a boundary. */
  align(boundary: number): void {
    const position = Math.ceil(this.#length / boundary) * boundary;
    this.#room(position - this.#length);
    this.#length = position;
  }

  #add(type: Type, value: Value): void {
    this.align(alignmentOf(type));
    switch (type.code) {
      case "y":
        return this.#put(1, () => this.#view.setUint8(this.#length, numberOf(value)));
      case "n":
        return this.#put(2, () => this.#view.setInt16(this.#length, numberOf(value), true));
      case "q":
        return this.#put(2, () => this.#view.setUint16(this.#length, numberOf(value), true));
      case "i":
        return this.#put(4, () => this.#view.setInt32(this.#length, numberOf(value), true));
      case "u":
      case "h":
        return this.#put(4, () => this.#view.setUint32(this.#length, numberOf(value), true));
      case "x":
        return this.#put(8, () => this.#view.setBigInt64(this.#length, bigintOf(value), true));
      case "t":
        return this.#put(8, () => this.#view.setBigUint64(this.#length, bigintOf(value), true));
      case "d":
        return this.#put(8, () => this.#view.setFloat64(this.#length, numberOf(value), true));
      case "b":
        if (typeof value !== "boolean") throw unfit("boolean", value);
        return this.#put(4, () => this.#view.setUint32(this.#length, Number(value), true));
      case "s":
      case "o":
      case "g":
        return this.#text(type.code, value);
      case "v":
        if (!isVariant(value)) throw unfit("variant", value);
        this.#text("g", value.signature);
        return this.#add(single(value.signature), value.value);
      case "a":
        return this.#array(type.children[0]!, value);
      default:
        return this.#fields(type.children, value);
    }
  }

  #text(code: string, value: Value): void {
    if (typeof value !== "string" || value.includes("\0")) throw unfit("string without a zero", value);
    const bytes = textEncoder.encode(value);
    if (code === "g") this.#put(1, () => this.#view.setUint8(this.#length, bytes.length));
    else this.#put(4, () => this.#view.setUint32(this.#length, bytes.length, true));
    this.#copy(bytes);
    this.#put(1, () => {});
  }

  #array(element: Type, value: Value): void {
    const place = this.#length;
    this.#put(4, () => {});
    // Also where it is empty; the padding does not count.
    this.align(alignmentOf(element));
    const begin = this.#length;
    if (element.code === "y") {
      if (!(value instanceof Uint8Array)) throw unfit("bytes", value);
      this.#copy(value);
    } else {
      for (const each of listOf(value)) this.#add(element, each);
    }
    this.#view.setUint32(place, this.#length - begin, true);
  }

  #fields(types: readonly Type[], value: Value): void {
    const values = listOf(value);
    if (values.length !== types.length) throw unfit(`${types.length} fields`, value);
    types.forEach((type, index) => this.#add(type, values[index]!));
  }

  #copy(bytes: Uint8Array): void {
    this.#put(bytes.length, () => this.#bytes.set(bytes, this.#length));
  }

  #put(length: number, write: () => void): void {
    this.#room(length);
    write();
    this.#length += length;
  }

  #room(length: number): void {
    if (this.#length + length <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + length));
    grown.set(this.bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

function single(signature: string): Type {
  const [type, ...more] = parseSignature(signature);
  if (type === undefined || more.length > 0) throw new TypeError(`a variant of "${signature}": want one type`);
  return type;
}

function numberOf(value: Value): number {
  if (typeof value !== "number") throw unfit("number", value);
  return value;
}

function bigintOf(value: Value): bigint {
  if (typeof value !== "bigint") throw unfit("bigint", value);
  return value;
}

function listOf(value: Value): readonly Value[] {
  if (!Array.isArray(value)) throw unfit("list", value);
  // Array.isArray() does not narrow read-only arrays; what is one here is a list of values.
  return value as readonly Value[];
}

function unfit(wanted: string, value: Value): TypeError {
  return new TypeError(`want a ${wanted}, not ${typeof value}`);
}
