/**
 * Writes tar archives byte for byte as Go's `archive/tar` does in its PAX form, so that a layer has the digest that
 * containerd would give it.
 *
 * @module
 */
import { concatBytes } from "../../api/bytes.ts";
import { Failure } from "../../api/errors.ts";
import { encodePath } from "../../ffi/path.ts";
import { blockSize } from "./tar_header.ts";

/** The types of entries that layers have. */
export type EntryType = "file" | "link" | "symlink" | "char" | "block" | "directory" | "fifo";

/** What a header says. Paths are as `ffi/path.ts` makes them. */
export interface EntryHeader {
  readonly type: EntryType;
  /** Without a slash at its start; a directory's ends in one. */
  readonly name: string;
  /** Target of a link; "" for all others. */
  readonly linkName: string;
  /** Permissions with set-user-ID, set-group-ID and sticky bits, without the type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes that follow. */
  readonly size: number;
  /** Whole seconds since 1970. */
  readonly mtime: number;
  /** Of a device; else 0. */
  readonly major: number;
  readonly minor: number;
  /** Further PAX records, such as `SCHILY.xattr.security.capability`. */
  readonly records?: ReadonlyMap<string, Uint8Array>;
}

const typeFlags: Readonly<Record<EntryType, number>> = {
  file: 0x30,
  link: 0x31,
  symlink: 0x32,
  char: 0x33,
  block: 0x34,
  directory: 0x35,
  fifo: 0x36,
};

const extendedHeader = 0x78;
const nameBytes = 100;
const prefixBytes = 155;
const encoder = new TextEncoder();

/** The two empty blocks at an archive's end. */
export function archiveEnd(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(2 * blockSize);
}

/** Zeros that fill the last block of a body. */
export function paddingBytes(size: number): number {
  return (blockSize - size % blockSize) % blockSize;
}

/**
 * The header of an entry, with the extended header before it where the plain one cannot say everything.
 *
 * Throws `InvalidArgument` for a device number that tar cannot hold.
 */
export function headerBytes(header: EntryHeader): Uint8Array<ArrayBuffer> {
  const name = encodePath(header.name);
  const linkName = encodePath(header.linkName);
  for (const number of [header.mode, header.major, header.minor]) {
    if (fits(8, number)) continue;
    throw new Failure(
      "InvalidArgument",
      `writing "${header.name}": archive/tar: cannot encode header: device ${header.major}:${header.minor} is too large`,
    );
  }
  const records = new Map(header.records);
  const split = splitName(name);
  if (needsRecord(name)) records.set("path", name);
  if (needsRecord(linkName)) records.set("linkpath", linkName);
  for (const [key, width] of [["uid", 8], ["gid", 8], ["size", 12], ["mtime", 12]] as const) {
    if (!fits(width, header[key])) records.set(key, encoder.encode(String(header[key])));
  }
  // A long path goes without a record where it can be cut in two and nothing else needs one.
  if (split !== undefined && records.size === 1 && records.has("path")) {
    return mainBlock(header, split.name, linkName, split.prefix);
  }
  const block = mainBlock(header, name, linkName);
  return records.size === 0 ? block : concatBytes([extended(name, records), block]);
}

function fits(width: number, value: number): boolean {
  return value >= 0 && value < 8 ** (width - 1);
}

function needsRecord(path: Uint8Array): boolean {
  return path.length > nameBytes || path.some((byte) => byte >= 0x80);
}

/** A path cut at a slash for the two fields of a ustar header; undefined where it fits into one, or cannot be cut. */
function splitName(path: Uint8Array): { prefix: Uint8Array; name: Uint8Array } | undefined {
  if (path.length <= nameBytes || path.some((byte) => byte >= 0x80)) return undefined;
  let end = path.length;
  if (end > prefixBytes + 1) end = prefixBytes + 1;
  else if (path[end - 1] === 0x2f) end--;
  const cut = path.lastIndexOf(0x2f, end - 1);
  const name = path.subarray(cut + 1);
  if (cut <= 0 || name.length > nameBytes || name.length === 0) return undefined;
  return { prefix: path.subarray(0, cut), name };
}

function mainBlock(
  header: EntryHeader,
  name: Uint8Array,
  linkName: Uint8Array,
  prefix?: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(blockSize);
  if (prefix !== undefined) block.set(prefix, 345);
  putText(block, 0, name);
  putText(block, 157, linkName);
  putOctal(block, 100, 8, header.mode);
  putOctal(block, 108, 8, header.uid);
  putOctal(block, 116, 8, header.gid);
  putOctal(block, 124, 12, header.size);
  putOctal(block, 136, 12, header.mtime);
  putOctal(block, 329, 8, header.major);
  putOctal(block, 337, 8, header.minor);
  return finished(block, typeFlags[header.type]);
}

/** Text for readers that do not know the record: ASCII only, and cut. */
function putText(block: Uint8Array, at: number, bytes: Uint8Array): void {
  const ascii = bytes.filter((byte) => byte < 0x80);
  block.set(ascii.subarray(0, nameBytes), at);
  // A cut path that happens to end in a slash would be taken for a directory.
  if (ascii.length <= nameBytes || block[at + nameBytes - 1] !== 0x2f) return;
  let end = nameBytes;
  while (end > 0 && block[at + end - 1] === 0x2f) end--;
  block[at + end] = 0;
}

function putOctal(block: Uint8Array, at: number, width: number, value: number): void {
  const text = (fits(width, value) ? value : 0).toString(8).padStart(width - 1, "0");
  encoder.encodeInto(text, block.subarray(at, at + width));
}

function finished(block: Uint8Array<ArrayBuffer>, typeFlag: number): Uint8Array<ArrayBuffer> {
  block[156] = typeFlag;
  encoder.encodeInto("ustar\x0000", block.subarray(257));
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (let at = 0; at < blockSize; at++) sum += block[at]!;
  putOctal(block, 148, 7, sum);
  block[154] = 0;
  return block;
}

function extended(name: Uint8Array, records: ReadonlyMap<string, Uint8Array>): Uint8Array<ArrayBuffer> {
  const body = concatBytes([...records].sort(([a], [b]) => a < b ? -1 : 1).map(([key, value]) => record(key, value)));
  const block = new Uint8Array(blockSize);
  const ascii = extendedName(name).filter((byte) => byte < 0x80).subarray(0, nameBytes);
  let end = ascii.length;
  while (end > 0 && ascii[end - 1] === 0x2f) end--;
  block.set(ascii.subarray(0, end));
  for (const at of [100, 108, 116]) putOctal(block, at, 8, 0);
  putOctal(block, 124, 12, body.length);
  putOctal(block, 136, 12, 0);
  return concatBytes([finished(block, extendedHeader), body, new Uint8Array(paddingBytes(body.length))]);
}

/** `dir/PaxHeaders.0/file`, where a directory's file part is empty. */
function extendedName(name: Uint8Array): Uint8Array<ArrayBuffer> {
  const cut = name.lastIndexOf(0x2f) + 1;
  const file = name.subarray(cut);
  return concatBytes([
    name.subarray(0, cut),
    encoder.encode(file.length > 0 ? "PaxHeaders.0/" : "PaxHeaders.0"),
    file,
  ]);
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function record(key: string, value: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = encoder.encode(` ${key}=`);
  const rest = head.length + value.length + 1;
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return concatBytes([encoder.encode(String(length)), head, value, encoder.encode("\n")]);
}
