/**
 * What changed between two directory trees, by the rules of containerd's `fs.Changes`: both are walked at once, names
 * in the order of their bytes.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { DirectoryChain } from "../../ffi/directory_chain.ts";
import { isErrno } from "../../ffi/errno.ts";
import {
  type FileStatus,
  listDirectory,
  openAt,
  openContents,
  readAt,
  readLinkAt,
  S_IFDIR,
  S_IFLNK,
  statAtIfThere,
} from "../../ffi/files.ts";
import { encodePath } from "../../ffi/path.ts";
import { getXattrAt } from "../../ffi/xattr.ts";
import type { Place } from "./copy_up.ts";
import { isTooLong, pathBytesMax } from "./entry_limits.ts";

/** A name that is there afterwards; `unmodified` ones only where other names share the file. */
export interface Present {
  readonly kind: "added" | "modified" | "unmodified";
  readonly path: string;
  /** Where it is: open until the next change is asked for. */
  readonly place: Place;
  readonly status: FileStatus;
}

/** A name that was there before, with all below it. */
export interface Deleted {
  readonly kind: "deleted";
  readonly path: string;
}

/** One change. Paths are below the trees' roots, without a slash at their start. */
export type Change = Present | Deleted;

const typeMask = flags("S_IFMT");
const regular = flags("S_IFREG");

/** Whether it is a directory. */
export function isDirectory(status: FileStatus): boolean {
  return (status.mode & typeMask) === S_IFDIR;
}

/** Names in the order of their bytes, which is not that of UTF-16. */
export function sortNames(names: string[]): string[] {
  // deno-lint-ignore no-control-regex -- ASCII begins with control characters, and names may hold them
  if (names.every((name) => /^[\x00-\x7f]*$/.test(name))) return names.sort();
  const bytes = new Map(names.map((name) => [name, encodePath(name)]));
  return names.sort((a, b) => compareBytes(bytes.get(a)!, bytes.get(b)!));
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < a.length && at < b.length; at++) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return a.length - b.length;
}

/** A pair of directories under way. */
interface Frame {
  readonly path: string;
  /** Whether the lower tree has it too. */
  readonly hasLower: boolean;
  readonly lowerNames: ReadonlySet<string>;
  readonly upperNames: ReadonlySet<string>;
  readonly names: readonly string[];
  next: number;
}

/** The ways down both trees. */
interface Ways {
  readonly lower: DirectoryChain | undefined;
  readonly upper: DirectoryChain;
}

function frameOf(path: string, { lower, upper }: Ways, hasLower: boolean): Frame {
  const lowerNames = new Set(hasLower ? listDirectory(lower!.fd) : []);
  const upperNames = new Set(listDirectory(upper.fd));
  return { path, hasLower, lowerNames, upperNames, names: sortNames([...lowerNames.union(upperNames)]), next: 0 };
}

/** Path of a name below a tree's root. Throws `FailedPrecondition` where no archive can have one of this length. */
export function pathBelow(directory: string, name: string): string {
  const path = directory === "" ? name : `${directory}/${name}`;
  if (!isTooLong(path)) return path;
  throw new Failure(
    "FailedPrecondition",
    `comparing "${
      path.slice(0, 60)
    }…": the path is longer than ${pathBytesMax} bytes, and no layer can hold it: remove such directories`,
  );
}

/** Opens a tree to walk down; its path is the daemon's own, and may have links in its parents. */
export function openWay(path: string, openMax?: number): DirectoryChain {
  const how = flags("O_RDONLY", "O_DIRECTORY", "O_CLOEXEC");
  return new DirectoryChain(openAt(flags("AT_FDCWD"), path, how), openMax === undefined ? {} : { openMax });
}

/** Goes into a directory; false where it cannot be looked into as something is mounted on it. Throws {@link SyscallError}. */
export function enterUnlessMounted(way: DirectoryChain, name: string): boolean {
  try {
    way.enter(name);
    return true;
  } catch (error) {
    if (isErrno(error, "EXDEV")) return false;
    throw error;
  }
}

/**
 * The changes from `lower` to `upper`, both directories; from nothing without the former. Neither may change meanwhile.
 * Throws {@link SyscallError}.
 */
export function* walkBoth(lower: string | undefined, upper: string): Generator<Change> {
  using lowerWay = lower === undefined ? undefined : openWay(lower);
  using upperWay = openWay(upper);
  const ways: Ways = { lower: lowerWay, upper: upperWay };
  const frames = [frameOf("", ways, lower !== undefined)];
  for (let frame; (frame = frames.at(-1)) !== undefined;) {
    const name = frame.names[frame.next++];
    if (name !== undefined) {
      const below = yield* changesOf(frame, ways, name);
      if (below !== undefined) frames.push(below);
      continue;
    }
    frames.pop();
    if (frames.length === 0) return;
    upperWay.leave();
    if (frame.hasLower) lowerWay!.leave();
  }
}

function* changesOf(frame: Frame, ways: Ways, name: string): Generator<Change, Frame | undefined> {
  const path = pathBelow(frame.path, name);
  const below = frame.hasLower ? ways.lower!.fd : undefined;
  if (!frame.upperNames.has(name)) {
    if (statAtIfThere(below!, name) !== undefined) yield { kind: "deleted", path };
    return undefined;
  }
  const place = { dir: ways.upper.fd, name };
  const status = statAtIfThere(place.dir, name);
  // Overlayfs lists whiteouts of directories that are in one layer only, and has no such files.
  if (status === undefined) return undefined;
  let isInBoth = false;
  const before = below === undefined ? undefined : { dir: below, name };
  const beforeStatus = before && frame.lowerNames.has(name) ? statAtIfThere(before.dir, name) : undefined;
  if (before !== undefined && beforeStatus !== undefined) {
    const same = isSameFile(before, beforeStatus, place, status);
    if (!same) yield { kind: "modified", path, place, status };
    else if (!isDirectory(status) && status.links > 1) yield { kind: "unmodified", path, place, status };
    isInBoth = isDirectory(beforeStatus);
  } else {
    yield { kind: "added", path, place, status };
  }
  if (!isDirectory(status) || !enterUnlessMounted(ways.upper, name)) return undefined;
  return frameOf(path, ways, isInBoth && enterUnlessMounted(ways.lower!, name));
}

const capability = "security.capability";
const compareBytesMax = 256 * 1024;

/**
 * Whether both are the same file as far as a layer can tell: one inode, or equal in type, mode, owner, device number and
 * capabilities, and, but for directories, in size and time. Times without a fraction may have been cut, and prove
 * nothing: then the contents count.
 */
export function isSameFile(before: Place, beforeStatus: FileStatus, after: Place, status: FileStatus): boolean {
  const { device: was } = beforeStatus;
  const { device: is } = status;
  if (beforeStatus.inode === status.inode && was.major === is.major && was.minor === is.minor) return true;
  if (beforeStatus.mode !== status.mode || beforeStatus.uid !== status.uid || beforeStatus.gid !== status.gid) {
    return false;
  }
  if (beforeStatus.major !== status.major || beforeStatus.minor !== status.minor) return false;
  if (!equalBytes(getXattrAt(before.dir, before.name, capability), getXattrAt(after.dir, after.name, capability))) {
    return false;
  }
  if (isDirectory(status)) return true;
  const { mtime: then } = beforeStatus;
  const { mtime: now } = status;
  if (beforeStatus.size !== status.size || then.seconds !== now.seconds || then.nanos !== now.nanos) return false;
  if (now.nanos !== 0) return true;
  if ((status.mode & typeMask) === S_IFLNK) {
    return readLinkAt(before.dir, before.name) === readLinkAt(after.dir, after.name);
  }
  if (status.size === 0 || (status.mode & typeMask) !== regular) return true;
  return equalContents(before, after);
}

function equalBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return (a?.length ?? 0) === (b?.length ?? 0);
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

// Shared: most trees have tens of thousands of small files with whole-second times, and new memory has to be cleared.
const contentsBefore = new Uint8Array(compareBytesMax);
const contentsAfter = new Uint8Array(compareBytesMax);

function equalContents(before: Place, after: Place): boolean {
  using first = new Descriptor(openContents(before.dir, before.name));
  using second = new Descriptor(openContents(after.dir, after.name));
  for (let at = 0;;) {
    const count = readAt(first.number, contentsBefore, at);
    if (readAt(second.number, contentsAfter, at) !== count) return false;
    if (Buffer.compare(contentsBefore.subarray(0, count), contentsAfter.subarray(0, count)) !== 0) return false;
    if (count < compareBytesMax) return true;
    at += count;
  }
}
