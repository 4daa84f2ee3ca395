/**
 * Maps of sparse files: which ranges of a file the archive holds; everything else is a hole.
 *
 * Formats: old GNU (type "S", in header blocks), and GNU 0.0, 0.1 and 1.0 by PAX records (GNU tar manual, appendix on
 * sparse formats).
 *
 * @module
 */
import { blockSize, malformed, parseNumber } from "./tar_header.ts";

/** A range of the file with data, in bytes. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/**
 * More extents than this are refused: a map is kept in memory, and a hostile archive could make it as long as itself.
 * A million ranges is far beyond what GNU tar finds in real files and takes some 50 MB.
 */
export const extentsMax = 1 << 20;

/** Alternating offsets and lengths as extents. Throws `InvalidArgument` for an odd count. */
export function readExtents(numbers: readonly number[]): Extent[] {
  if (numbers.length % 2 !== 0) throw malformed("the map of a sparse file has an offset without a length");
  const extents: Extent[] = [];
  for (let at = 0; at < numbers.length; at += 2) extents.push({ offset: numbers[at]!, length: numbers[at + 1]! });
  return extents;
}

/** The map of format 0.1: numbers with commas between. */
export function parseExtentList(list: string): Extent[] {
  return readExtents(list === "" ? [] : list.split(",").map(decimal));
}

function decimal(digits: string): number {
  const value = Number(digits);
  if (!/^[0-9]+$/.test(digits) || !Number.isSafeInteger(value)) {
    throw malformed(`the map of a sparse file holds "${digits.slice(0, 40)}": want a decimal number`);
  }
  return value;
}

/**
 * Throws unless the extents are in order, do not overlap, end within the file, and hold exactly `stored` bytes, which
 * is what the archive has for them.
 */
export function checkExtents(extents: readonly Extent[], realSize: number, stored: number): void {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of extents) {
    if (offset < end || length > realSize - offset) {
      throw malformed("the map of a sparse file has ranges that overlap or lie beyond its end");
    }
    end = offset + length;
    sum += length;
  }
  if (sum !== stored) {
    throw malformed(`the map of a sparse file names ${sum} bytes and the archive has ${stored} for it`);
  }
}

/** Collects the extents of an old GNU header and of the blocks that continue it. */
export class OldGnuMap {
  readonly extents: Extent[] = [];
  readonly realSize: number;
  /** Whether another block of the map follows. */
  more: boolean;

  /** Reads the four extents in the header block itself. */
  constructor(header: Uint8Array) {
    this.realSize = parseNumber(header, 483, 12, "real size");
    this.#read(header, 386, 4);
    this.more = header[482] !== 0;
  }

  /** Reads a block that continues the map. */
  extend(block: Uint8Array): void {
    this.#read(block, 0, 21);
    this.more = block[504] !== 0;
  }

  #read(block: Uint8Array, from: number, count: number): void {
    for (let at = from; at < from + count * 24; at += 24) {
      // An extent that begins with NUL is unused, and so are all that follow.
      if (block[at] === 0) return;
      const extent = {
        offset: parseNumber(block, at, 12, "sparse offset"),
        length: parseNumber(block, at + 12, 12, "sparse length"),
      };
      if (extent.offset < 0 || extent.length < 0) throw malformed("the map of a sparse file has a negative number");
      this.extents.push(extent);
      if (this.extents.length > extentsMax) throw malformed(`a sparse file has more than ${extentsMax} ranges`);
    }
  }
}

/** Collects the map of format 1.0: a count, then offsets and lengths, a decimal number a line, padded to a block. */
export class MapInBody {
  #numbers: number[] = [];
  #line = "";
  /** Bytes of the body that the map has taken so far. */
  taken = 0;

  /** Takes the next block of the body; gives the extents once the map is complete. */
  push(block: Uint8Array): Extent[] | undefined {
    this.taken += blockSize;
    for (const byte of block) {
      if (byte !== 0x0a) {
        this.#line += String.fromCharCode(byte);
        if (this.#line.length > 20) throw malformed("the map of a sparse file has a line of over 20 characters");
        continue;
      }
      this.#numbers.push(decimal(this.#line));
      this.#line = "";
      const count = this.#numbers[0]!;
      if (count > extentsMax) throw malformed(`a sparse file has more than ${extentsMax} ranges`);
      if (this.#numbers.length === 1 + 2 * count) return readExtents(this.#numbers.slice(1));
    }
    return undefined;
  }
}
