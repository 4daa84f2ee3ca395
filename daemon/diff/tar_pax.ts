/**
 * PAX records: `LENGTH KEY=VALUE\n`, as POSIX.1-2001 defines them, with the keys that layers use.
 *
 * @module
 */
import { decodePath } from "../../ffi/path.ts";
import type { FileTime } from "../../ffi/files.ts";
import { malformed, type TarHeader } from "./tar_header.ts";
import { type Extent, parseExtentList, readExtents } from "./tar_sparse.ts";

/** An extended attribute from a `SCHILY.xattr.` record. */
export interface TarXattr {
  readonly name: string;
  readonly value: Uint8Array;
}

/** What the records of one entry say; absent keys leave the header as it is. */
export interface PaxRecords {
  path?: string;
  linkPath?: string;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: FileTime;
  atime?: FileTime;
  readonly xattrs: TarXattr[];
  /** GNU sparse formats 0.0 and 0.1: the map is in the records. */
  extents?: Extent[];
  /** GNU sparse format 1.0: the map is at the start of the body. */
  mapInBody?: boolean;
  /** Size of a sparse file with its holes. */
  realSize?: number;
}

/** State that is only needed while records are read: a 0.0 map comes as pairs of records. */
interface Pending {
  numbers: number[];
  major: string;
  minor: string;
  mapText?: string;
  sparsePath?: string;
}

const decoder = new TextDecoder();

/** Reads the body of a PAX header ("x"). Throws `InvalidArgument` where a record is malformed. */
export function parsePax(body: Uint8Array): PaxRecords {
  const records: PaxRecords = { xattrs: [] };
  const pending: Pending = { numbers: [], major: "", minor: "" };
  let at = 0;
  while (at < body.length) {
    // Padding by NULs inside the body was written by some old tools; it can only be at the end.
    if (body[at] === 0 && body.subarray(at).every((byte) => byte === 0)) break;
    const { key, value, next } = record(body, at);
    apply(records, pending, key, value);
    at = next;
  }
  finishSparse(records, pending);
  return records;
}

function record(body: Uint8Array, at: number): { key: string; value: Uint8Array; next: number } {
  let length = 0;
  let index = at;
  for (; index < body.length && body[index] !== 0x20; index++) {
    const digit = body[index]! - 0x30;
    if (digit < 0 || digit > 9 || index - at > 8) throw malformed("a PAX record does not begin with its length");
    length = length * 10 + digit;
  }
  const next = at + length;
  const equals = body.indexOf(0x3d, index);
  if (index === at || next > body.length || equals === -1 || equals >= next || body[next - 1] !== 0x0a) {
    throw malformed("a PAX record is not of the form LENGTH KEY=VALUE");
  }
  const key = decoder.decode(body.subarray(index + 1, equals));
  if (key === "") throw malformed("a PAX record has no key");
  return { key, value: body.subarray(equals + 1, next - 1), next };
}

function apply(records: PaxRecords, pending: Pending, key: string, value: Uint8Array): void {
  const xattrPrefix = "SCHILY.xattr.";
  if (key.startsWith(xattrPrefix)) {
    const name = key.slice(xattrPrefix.length);
    if (name === "" || name.includes("\0")) throw malformed("a PAX record names an impossible extended attribute");
    // The body's memory is reused by nobody, but a copy lets go of the rest of it.
    records.xattrs.push({ name, value: value.slice() });
    return;
  }
  switch (key) {
    case "path":
      return setOrForget(records, "path", value, pathOf);
    case "linkpath":
      return setOrForget(records, "linkPath", value, pathOf);
    case "size":
      return setOrForget(records, "size", value, countOf);
    case "uid":
      return setOrForget(records, "uid", value, integerOf);
    case "gid":
      return setOrForget(records, "gid", value, integerOf);
    case "mtime":
      return setOrForget(records, "mtime", value, timeOf);
    case "atime":
      return setOrForget(records, "atime", value, timeOf);
    case "GNU.sparse.major":
      pending.major = decoder.decode(value);
      return;
    case "GNU.sparse.minor":
      pending.minor = decoder.decode(value);
      return;
    case "GNU.sparse.name":
      pending.sparsePath = pathOf(value, key);
      return;
    case "GNU.sparse.map":
      pending.mapText = decoder.decode(value);
      return;
    case "GNU.sparse.size":
    case "GNU.sparse.realsize":
      records.realSize = countOf(value, key);
      return;
    case "GNU.sparse.offset":
    case "GNU.sparse.numbytes": {
      // Format 0.0: offsets and lengths alternate, beginning with an offset.
      const wanted = pending.numbers.length % 2 === 0 ? "GNU.sparse.offset" : "GNU.sparse.numbytes";
      if (key !== wanted) throw malformed("GNU.sparse.offset and GNU.sparse.numbytes records do not alternate");
      pending.numbers.push(countOf(value, key));
      return;
    }
  }
}

/** An empty value takes the record back, so that the header's own field counts again. */
function setOrForget<K extends "path" | "linkPath" | "size" | "uid" | "gid" | "mtime" | "atime">(
  records: PaxRecords,
  field: K,
  value: Uint8Array,
  parse: (value: Uint8Array, key: string) => NonNullable<PaxRecords[K]>,
): void {
  if (value.length === 0) delete records[field];
  else records[field] = parse(value, field);
}

function finishSparse(records: PaxRecords, pending: Pending): void {
  const isSparse1 = pending.major === "1" && pending.minor === "0";
  if (pending.sparsePath !== undefined) records.path = pending.sparsePath;
  if (isSparse1) records.mapInBody = true;
  else if (pending.mapText !== undefined) records.extents = parseExtentList(pending.mapText);
  else if (pending.numbers.length > 0) records.extents = readExtents(pending.numbers);
  else if (pending.major !== "" && pending.major !== "0") {
    throw malformed(`GNU sparse format ${pending.major}.${pending.minor} is unknown: want 0.0, 0.1 or 1.0`);
  }
  const isSparse = records.mapInBody === true || records.extents !== undefined;
  if (isSparse && records.realSize === undefined) throw malformed("a sparse file has no size record");
}

function pathOf(value: Uint8Array, key: string): string {
  if (value.includes(0)) throw malformed(`the PAX record ${key} holds a NUL`);
  return decodePath(value);
}

function integerOf(value: Uint8Array, key: string): number {
  const digits = decoder.decode(value);
  const number = Number(digits);
  if (!/^[+-]?[0-9]+$/.test(digits) || !Number.isSafeInteger(number)) {
    throw malformed(`the PAX record ${key} is "${digits.slice(0, 40)}": want an integer`);
  }
  return number;
}

function countOf(value: Uint8Array, key: string): number {
  const number = integerOf(value, key);
  if (number < 0) throw malformed(`the PAX record ${key} is negative`);
  return number;
}

/** Seconds with a decimal fraction; digits after the ninth are dropped. */
function timeOf(value: Uint8Array, key: string): FileTime {
  const digits = decoder.decode(value);
  const match = /^(-?)([0-9]+)(?:\.([0-9]*))?$/.exec(digits);
  if (match === null) throw malformed(`the PAX record ${key} is "${digits.slice(0, 40)}": want seconds`);
  const seconds = Number(match[2]);
  const nanos = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (match[1] !== "-") return { seconds, nanos };
  return nanos === 0 ? { seconds: -seconds, nanos: 0 } : { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos };
}

/** Puts the records over the header's fields. */
export function overlayPax(header: TarHeader, records: PaxRecords): void {
  if (records.path !== undefined) header.name = records.path;
  if (records.linkPath !== undefined) header.linkName = records.linkPath;
  if (records.size !== undefined) header.size = records.size;
  if (records.uid !== undefined) header.uid = records.uid;
  if (records.gid !== undefined) header.gid = records.gid;
  if (records.mtime !== undefined) header.mtime = records.mtime;
  if (records.atime !== undefined) header.atime = records.atime;
}
