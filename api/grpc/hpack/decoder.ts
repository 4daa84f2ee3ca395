/**
 * Decoding of header blocks, RFC 7541.
 *
 * @module
 */
import { ConnectionError, errorCodes } from "../frames.ts";
import { decodeHuffman } from "./huffman.ts";
import { type Field, staticTable } from "./static_table.ts";

/** What an entry costs besides its characters, RFC 7541 section 4.1. */
const entryOverhead = 32;

/** Limits of a {@link HeaderDecoder}. */
export interface DecoderLimits {
  /** Bytes of the dynamic table; what our SETTINGS_HEADER_TABLE_SIZE says. */
  readonly tableBytesMax: number;
  /** Bytes of all fields of one block, with 32 for each; what our SETTINGS_MAX_HEADER_LIST_SIZE says. */
  readonly listBytesMax: number;
}

/**
 * The decoder of one direction of a connection; blocks have to be given in their order, whole. Octets of names and values
 * become one character each.
 */
export class HeaderDecoder {
  /** Newest last. */
  readonly #dynamic: Field[] = [];
  #dynamicBytes = 0;
  #tableMax: number;
  #block: Uint8Array = new Uint8Array();
  #at = 0;
  #end = 0;

  constructor(private readonly limits: DecoderLimits) {
    this.#tableMax = limits.tableBytesMax;
  }

  /**
   * Decodes a block. Gives undefined where its fields are more than the limit: they were all read, so that the connection
   * can go on. Throws `ConnectionError` where it is malformed.
   */
  decode(block: Uint8Array, from = 0, to: number = block.length): Field[] | undefined {
    this.#block = block;
    this.#at = from;
    this.#end = to;
    const fields: Field[] = [];
    let bytes = 0;
    while (this.#at < this.#end) {
      const field = this.#next(fields.length === 0 && bytes === 0);
      if (field === undefined) continue;
      bytes += sizeOf(field);
      if (bytes <= this.limits.listBytesMax) fields.push(field);
    }
    this.#block = new Uint8Array();
    return bytes <= this.limits.listBytesMax ? fields : undefined;
  }

  #next(first: boolean): Field | undefined {
    const byte = this.#block[this.#at]!;
    if (byte & 0x80) return this.#entry(this.#integer(7));
    if (byte & 0x40) {
      const field = this.#literal(6);
      this.#insert(field);
      return field;
    }
    if (!(byte & 0x20)) return this.#literal(4);
    if (!first) throw malformed("a table size update after a field");
    const size = this.#integer(5);
    if (size > this.limits.tableBytesMax) {
      throw malformed(`a table of ${size} bytes, ${this.limits.tableBytesMax} allowed`);
    }
    this.#tableMax = size;
    this.#evict(0);
    return undefined;
  }

  #literal(prefix: number): Field {
    const index = this.#integer(prefix);
    const name = index === 0 ? this.#string() : this.#entry(index)[0];
    return [name, this.#string()];
  }

  #entry(index: number): Field {
    if (index === 0) throw malformed("index 0");
    const field = index <= staticTable.length
      ? staticTable[index - 1]
      : this.#dynamic[this.#dynamic.length - (index - staticTable.length)];
    if (field === undefined) throw malformed(`index ${index} is not in the table`);
    return field;
  }

  #insert(field: Field): void {
    const size = sizeOf(field);
    this.#evict(size);
    // One that is larger than the table empties it, and is no entry.
    if (size > this.#tableMax) return;
    this.#dynamic.push(field);
    this.#dynamicBytes += size;
  }

  #evict(incoming: number): void {
    let gone = 0;
    while (gone < this.#dynamic.length && this.#dynamicBytes + incoming > this.#tableMax) {
      this.#dynamicBytes -= sizeOf(this.#dynamic[gone++]!);
    }
    if (gone > 0) this.#dynamic.splice(0, gone);
  }

  #integer(prefix: number): number {
    const mask = (1 << prefix) - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let shift = 0;; shift += 7) {
      // Five bytes hold all that anybody may mean.
      if (shift > 21) throw malformed("an integer that is too long");
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if (!(byte & 0x80)) return value;
    }
  }

  #string(): string {
    const huffman = (this.#block[this.#at]! & 0x80) !== 0;
    const length = this.#integer(7);
    const from = this.#at, to = from + length;
    if (to > this.#end) throw malformed("a string that ends after its block");
    this.#at = to;
    return huffman ? decodeHuffman(this.#block, from, to) : latin1(this.#block, from, to);
  }

  #byte(): number {
    if (this.#at >= this.#end) throw malformed("it ends in the middle");
    return this.#block[this.#at++]!;
  }
}

function sizeOf([name, value]: Field): number {
  return name.length + value.length + entryOverhead;
}

function latin1(bytes: Uint8Array, from: number, to: number): string {
  let text = "";
  for (let at = from; at < to; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}

function malformed(what: string): ConnectionError {
  return new ConnectionError(errorCodes.compressionError, `header block: ${what}`);
}
