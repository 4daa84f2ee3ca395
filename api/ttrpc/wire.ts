/**
 * The few pieces of protobuf's encoding that the envelopes need: varints and fields of bytes.
 *
 * @module
 */

/** Bytes of a varint; the value is a whole number from 0 to 2^53 - 1. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Writes a varint and gives the position behind it. */
export function putVarint(into: Uint8Array, at: number, value: number): number {
  let to = at, rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) into[to++] = rest % 0x80 | 0x80;
  into[to++] = rest;
  return to;
}

/** Bytes of a field that holds so many bytes; field numbers below 16. */
export function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

/** Writes a field of bytes and gives the position behind it. */
export function putField(into: Uint8Array, at: number, field: number, bytes: Uint8Array): number {
  into[at] = field << 3 | 2;
  const start = putVarint(into, at + 1, bytes.length);
  into.set(bytes, start);
  return start + bytes.length;
}

/** Thrown where bytes are no protobuf message. */
export class Malformed extends Error {}

/** Reads a message's fields, one after the other. */
export class FieldReader {
  #at = 0;
  #field = 0;
  #kind = 0;

  constructor(private readonly bytes: Uint8Array) {}

  /** The next field's number; 0 at the end. Its value must be taken or skipped. */
  next(): number {
    if (this.#at === this.bytes.length) return 0;
    const tag = this.varint();
    this.#field = Math.floor(tag / 8);
    this.#kind = tag % 8;
    if (this.#field === 0) throw new Malformed("field number 0");
    return this.#field;
  }

  /** Bytes of any length, as a view. A field of another kind is skipped. */
  takeBytes(): Uint8Array | undefined {
    if (this.#kind !== 2) return void this.skip();
    const end = this.varint() + this.#at;
    if (end > this.bytes.length) throw new Malformed("unexpected EOF");
    const value = this.bytes.subarray(this.#at, end);
    this.#at = end;
    return value;
  }

  /** A number. A field of another kind is skipped. */
  takeVarint(): number | undefined {
    if (this.#kind !== 0) return void this.skip();
    return this.varint();
  }

  /** Passes over the value. */
  skip(): void {
    if (this.#kind === 0) this.varint();
    else if (this.#kind === 2) void this.takeBytes();
    else if (this.#kind === 1) this.#at += 8;
    else if (this.#kind === 5) this.#at += 4;
    else throw new Malformed(`wire type ${this.#kind}`);
    if (this.#at > this.bytes.length) throw new Malformed("unexpected EOF");
  }

  /** Up to ten bytes. Above 2^53 the value is rounded; negative numbers come out as that, above 2^63. */
  private varint(): number {
    let value = 0, factor = 1;
    for (let count = 0; count < 10; count++) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) throw new Malformed("unexpected EOF");
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
    throw new Malformed("varint of more than ten bytes");
  }
}
