/**
 * Where the members of a tar archive lie, so that they can be read by name without unpacking it.
 *
 * Image archives are a few big members. Headers are read one after another and the data between them is skipped;
 * ustar, PAX (path, linkpath, size) and GNU long names and large sizes are understood (tar(5)).
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/** A regular member: where its data lies, in bytes from the archive's start. */
export interface Extent {
  readonly offset: number;
  readonly size: number;
}

type Member = { readonly extent: Extent } | { readonly target: string } | { readonly unreadable: string };

/** Reads exactly the bytes asked for; fewer only at the end of the file. */
export type ReadAt = (offset: number, length: number) => Uint8Array;

const blockSize = 512;

/** Bounds on what a stranger's archive makes us keep: members, and the bytes of one long name or PAX header. */
const membersMax = 200_000;
const extraBytesMax = 1024 * 1024;

/** Symbolic links are followed this often, as the kernel does not much more. */
const linksMax = 16;

/** The members of one archive by clean name; of two with the same name the later counts, as when unpacking. */
export class MemberIndex {
  readonly #members: ReadonlyMap<string, Member>;
  readonly #place: string;

  constructor(members: ReadonlyMap<string, Member>, place: string) {
    this.#members = members;
    this.#place = place;
  }

  /**
   * The data of the regular member that a name means, links followed among the members only; undefined where there
   * is none. Throws `InvalidArgument` for a link that leads out of the archive or nowhere.
   */
  find(name: string): Extent | undefined {
    let current = cleanName(name);
    for (let links = 0; links <= linksMax; links++) {
      const member = current === undefined ? undefined : this.#members.get(current);
      if (member === undefined) {
        if (links === 0) return undefined;
        throw new Failure("InvalidArgument", `link "${name}" in ${this.#place} leads to no member of it`);
      }
      if ("extent" in member) return member.extent;
      if ("unreadable" in member) {
        throw new Failure(
          "InvalidArgument",
          `member "${name}" in ${this.#place} is ${member.unreadable}: want a regular file`,
        );
      }
      current = cleanName(member.target);
    }
    throw new Failure("InvalidArgument", `link "${name}" in ${this.#place} leads in a circle`);
  }
}

/** A member's name with single slashes and without `.` and `..`; undefined where it leads out of the archive. */
function cleanName(name: string): string | undefined {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/");
}

/** What extended headers say about the member that follows them. */
interface Extras {
  path?: string;
  link?: string;
  size?: number;
  sparse?: boolean;
}

/**
 * Reads the headers of an archive of `archiveSize` bytes. Throws `InvalidArgument` for what is no tar archive,
 * `DataLoss` for one that is cut off or broken, `ResourceExhausted` for one with absurdly many members.
 */
export function indexMembers(readAt: ReadAt, archiveSize: number, place: string): MemberIndex {
  const members = new Map<string, Member>();
  let extras: Extras = {};
  for (let at = 0; at + blockSize <= archiveSize;) {
    const header = readAt(at, blockSize);
    if (header.every((byte) => byte === 0)) break;
    if (!isHeader(header)) {
      if (at === 0) throw new Failure("InvalidArgument", `${place} is not a tar archive`);
      throw new Failure("DataLoss", `${place} is broken: no tar header at byte ${at}`);
    }
    const type = String.fromCharCode(header[156] ?? 0);
    const isExtra = type === "x" || type === "L" || type === "K";
    const size = (isExtra ? undefined : extras.size) ?? number(header.subarray(124, 136));
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new Failure("DataLoss", `${place} is broken: bad size at byte ${at}`);
    }
    let offset = at + blockSize;
    if (type === "S" && header[482] !== 0) offset = afterSparseMaps(readAt, offset);
    // Links and directories have no data, whatever size they claim.
    const dataSize = "123456".includes(type) ? 0 : size;
    if (offset + dataSize > archiveSize) {
      throw new Failure("DataLoss", `${place} is cut off: it ends within a member at byte ${at}`);
    }
    at = offset + Math.ceil(dataSize / blockSize) * blockSize;
    if (isExtra) {
      if (size > extraBytesMax) throw new Failure("ResourceExhausted", `${place} has a header of ${size} bytes`);
      addExtra(extras, type, readAt(offset, size));
      continue;
    }
    if (type === "g") continue;
    const name = cleanName(extras.path ?? ustarName(header));
    if (name !== undefined && name !== "") members.set(name, memberOf(type, name, header, { offset, size }, extras));
    if (members.size > membersMax) {
      throw new Failure("ResourceExhausted", `${place} has more than ${membersMax} members`);
    }
    extras = {};
  }
  return new MemberIndex(members, place);
}

function memberOf(type: string, name: string, header: Uint8Array, extent: Extent, extras: Extras): Member {
  if (type === "S" || extras.sparse === true) return { unreadable: "sparse" };
  if (type === "0" || type === "\0" || type === "7") return { extent };
  const target = extras.link ?? text(header.subarray(157, 257));
  if (type === "1") return { target };
  // A link's target counts from the link's own directory; an absolute one names no member.
  if (type === "2") return { target: target.startsWith("/") ? ".." : `${name}/../${target}` };
  return { unreadable: type === "5" ? "a directory" : "special" };
}

function isHeader(header: Uint8Array): boolean {
  let sum = 0;
  for (let i = 0; i < blockSize; i++) sum += i >= 148 && i < 156 ? 32 : header[i] ?? 0;
  return sum === number(header.subarray(148, 156));
}

/** An octal number, or a big-endian binary one where the first bit is set (GNU); NaN for neither. */
function number(field: Uint8Array): number {
  const first = field[0] ?? 0;
  if (first >= 0x80) return field.subarray(1).reduce((value, byte) => value * 256 + byte, first & 0x7f);
  const octal = text(field).trim();
  return octal === "" ? 0 : /^[0-7]+$/.test(octal) ? parseInt(octal, 8) : NaN;
}

const decoder = new TextDecoder();

/** The field up to its NUL. */
function text(field: Uint8Array): string {
  const end = field.indexOf(0);
  return decoder.decode(end === -1 ? field : field.subarray(0, end));
}

function ustarName(header: Uint8Array): string {
  const name = text(header.subarray(0, 100));
  // Only POSIX archives have the prefix; GNU ones ("ustar  ") keep times there.
  const prefix = decoder.decode(header.subarray(257, 263)) === "ustar\0" ? text(header.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function addExtra(extras: Extras, type: string, data: Uint8Array): void {
  if (type === "L") extras.path = text(data);
  else if (type === "K") extras.link = text(data);
  else {
    for (const [key, value] of paxRecords(data)) {
      if (key === "path") extras.path = value;
      else if (key === "linkpath") extras.link = value;
      else if (key === "size") extras.size = /^\d+$/.test(value) ? Number(value) : NaN;
      else if (key.startsWith("GNU.sparse.")) extras.sparse = true;
    }
  }
}

/** The records `LENGTH KEY=VALUE\n` of a PAX header; the length counts itself. What is malformed ends them. */
function* paxRecords(data: Uint8Array): Generator<[key: string, value: string]> {
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(0x20, at);
    const length = Number(decoder.decode(data.subarray(at, space)));
    const equals = data.indexOf(0x3d, space);
    if (space === -1 || equals === -1 || !(length > 0) || at + length > data.length) return;
    yield [
      decoder.decode(data.subarray(space + 1, equals)),
      decoder.decode(data.subarray(equals + 1, at + length - 1)),
    ];
    at += length;
  }
}

/** Old GNU sparse members have maps between header and data; each says whether another one follows. */
function afterSparseMaps(readAt: ReadAt, offset: number): number {
  for (;;) {
    const map = readAt(offset, blockSize);
    offset += blockSize;
    if (map.length < blockSize || map[504] === 0) return offset;
  }
}
