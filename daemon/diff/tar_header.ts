/**
 * One 512-byte block of a tar archive as a header: v7, ustar, GNU and star.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { decodePath } from "../../ffi/path.ts";
import type { FileTime } from "../../ffi/files.ts";

/** Every header and all padding of an archive comes in blocks of this many bytes. */
export const blockSize = 512;

/** What a header block says by itself, before PAX and GNU records change it. */
export interface TarHeader {
  /** The type byte: 0x30 for "0". */
  readonly typeFlag: number;
  name: string;
  linkName: string;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of the body in the archive. */
  size: number;
  mtime: FileTime;
  atime: FileTime | undefined;
  /** Device numbers; 0 for what is no device. */
  major: number;
  minor: number;
  /** Whether the fields that only GNU archives have may be read. */
  readonly gnu: boolean;
}

/** A failure about a malformed archive. */
export function malformed(what: string): Failure {
  return new Failure("InvalidArgument", `reading the layer's tar archive: ${what}`);
}

/** Whether all bytes are zero, as in the two blocks that end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (let at = 0; at < block.length; at++) if (block[at] !== 0) return false;
  return true;
}

/** Bytes up to the first NUL, as a path. */
function text(block: Uint8Array, at: number, length: number): string {
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return decodePath(block.subarray(at, end));
}

/**
 * A numeric field: octal text, or base 256 where the first bit is set (a GNU extension for what octal cannot hold).
 * Blanks and NULs around octal digits are ignored, and an empty field is 0. Throws `InvalidArgument` for anything
 * else, and for numbers outside ±2^53.
 */
export function parseNumber(block: Uint8Array, at: number, length: number, field: string): number {
  const first = block[at]!;
  if (first & 0x80) return parseBase256(block, at, length, field);
  let from = at;
  let to = at + length;
  while (from < to && (block[from] === 0x20 || block[from] === 0)) from++;
  while (to > from && (block[to - 1] === 0x20 || block[to - 1] === 0)) to--;
  let value = 0;
  for (; from < to; from++) {
    const digit = block[from]! - 0x30;
    // Some writers end a field by NUL and leave older bytes behind it.
    if (digit === -0x30) break;
    if (digit < 0 || digit > 7) throw malformed(`the ${field} field is not an octal number`);
    value = value * 8 + digit;
  }
  if (!Number.isSafeInteger(value)) throw malformed(`the ${field} field is too large`);
  return value;
}

function parseBase256(block: Uint8Array, at: number, length: number, field: string): number {
  const negative = (block[at]! & 0x40) !== 0;
  // Two's complement of 7 + 8·(length − 1) bits: the top bit is the mark and not part of the number.
  let value = BigInt(block[at]! & 0x7f) - (negative ? 0x80n : 0n);
  for (let index = at + 1; index < at + length; index++) value = (value << 8n) | BigInt(block[index]!);
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw malformed(`the ${field} field is too large`);
  return result;
}

/** Throws unless the stored checksum is the sum of all bytes, as unsigned or, from some old writers, as signed ones. */
function verifyChecksum(block: Uint8Array): void {
  let unsigned = 0;
  let high = 0;
  for (let at = 0; at < blockSize; at++) {
    const byte = at >= 148 && at < 156 ? 0x20 : block[at]!;
    unsigned += byte;
    high += byte >> 7;
  }
  const stored = parseNumber(block, 148, 8, "checksum");
  if (stored !== unsigned && stored !== unsigned - 256 * high) {
    throw malformed(`a header has checksum ${stored} and its bytes sum up to ${unsigned}: the archive is damaged`);
  }
}

function matches(block: Uint8Array, at: number, ascii: string): boolean {
  for (let index = 0; index < ascii.length; index++) if (block[at + index] !== ascii.charCodeAt(index)) return false;
  return true;
}

/** Reads a header block. Throws `InvalidArgument` for a wrong checksum or a malformed number. */
export function parseHeader(block: Uint8Array): TarHeader {
  verifyChecksum(block);
  const ustar = matches(block, 257, "ustar\0");
  const gnu = matches(block, 257, "ustar  \0");
  const star = ustar && matches(block, 508, "tar\0");
  const typeFlag = block[156]!;
  const isDevice = typeFlag === 0x33 || typeFlag === 0x34;
  const header: TarHeader = {
    typeFlag,
    name: text(block, 0, 100),
    linkName: text(block, 157, 100),
    mode: parseNumber(block, 100, 8, "mode"),
    uid: parseNumber(block, 108, 8, "uid"),
    gid: parseNumber(block, 116, 8, "gid"),
    size: parseNumber(block, 124, 12, "size"),
    mtime: { seconds: parseNumber(block, 136, 12, "mtime"), nanos: 0 },
    atime: star ? { seconds: parseNumber(block, 476, 12, "atime"), nanos: 0 } : undefined,
    major: isDevice ? parseNumber(block, 329, 8, "major device") : 0,
    minor: isDevice ? parseNumber(block, 337, 8, "minor device") : 0,
    gnu,
  };
  if (header.size < 0) throw malformed("the size field is negative");
  if (ustar) addPrefix(header, text(block, 345, star ? 131 : 155));
  if (gnu && block[345] !== 0) addGnuTime(header, block);
  return header;
}

function addPrefix(header: TarHeader, prefix: string): void {
  if (prefix !== "") header.name = `${prefix}/${header.name}`;
}

/** GNU headers keep the access time where ustar has the prefix; Go before 1.8 wrote a prefix there all the same. */
function addGnuTime(header: TarHeader, block: Uint8Array): void {
  try {
    header.atime = { seconds: parseNumber(block, 345, 12, "atime"), nanos: 0 };
  } catch {
    addPrefix(header, text(block, 345, 155));
  }
}
