/**
 * Copies one file of a lower layer with all that belongs to it, as overlayfs does when it is written to.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import {
  changeModeAt,
  changeOwnerAt,
  type FileStatus,
  makeNodeAt,
  nextData,
  openAt,
  openContents,
  readAt,
  readLinkAt,
  S_IFDIR,
  S_IFLNK,
  setTimesAt,
  symlinkAt,
  truncateFile,
  writeAt,
} from "../../ffi/files.ts";
import { getXattrAt, listXattrsAt, setXattrAt } from "../../ffi/xattr.ts";

const typeMask = flags("S_IFMT");

/** A name in an open directory. */
export interface Place {
  readonly dir: number;
  readonly name: string;
}

/** Copies owner, extended attributes but `trusted.*`, mode and times. Throws {@link SyscallError}. */
export function copyAttributes(from: Place, status: FileStatus, to: Place): void {
  changeOwnerAt(to.dir, to.name, status.uid, status.gid);
  for (const key of listXattrsAt(from.dir, from.name)) {
    if (key.startsWith("trusted.")) continue;
    const value = getXattrAt(from.dir, from.name, key);
    if (value === undefined) continue;
    try {
      setXattrAt(to.dir, to.name, key, value);
    } catch (error) {
      // Two layers on different file systems: the other one could keep it, this one cannot.
      if (!isErrno(error, "EOPNOTSUPP")) throw error;
    }
  }
  if ((status.mode & typeMask) !== S_IFLNK) changeModeAt(to.dir, to.name, status.mode & 0o7777);
  setTimesAt(to.dir, to.name, status.atime, status.mtime);
}

/** Copies a file that is not a directory; `to` must not exist. Holes stay holes. Throws {@link SyscallError}. */
export function copyUp(from: Place, status: FileStatus, to: Place): void {
  switch (status.mode & typeMask) {
    case S_IFDIR:
      throw new Failure("InvalidArgument", `copying "${from.name}" from a lower layer: it is a directory`);
    case S_IFLNK:
      symlinkAt(readLinkAt(from.dir, from.name) ?? "", to.dir, to.name);
      break;
    case flags("S_IFREG"):
      copyContents(from, status.size, to);
      break;
    default:
      makeNodeAt(to.dir, to.name, status.mode, status.major, status.minor);
  }
  copyAttributes(from, status, to);
}

function copyContents(from: Place, size: number, to: Place): void {
  using source = new Descriptor(openContents(from.dir, from.name));
  const createFlags = flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW");
  using target = new Descriptor(openAt(to.dir, to.name, createFlags, 0o600));
  truncateFile(target.number, size);
  const buffer = new Uint8Array(Math.min(1 << 20, Math.max(size, 1)));
  let at = 0;
  while (at < size) {
    const data = nextData(source.number, at);
    if (data === undefined) return;
    for (at = data.start; at < data.end;) {
      const count = readAt(source.number, buffer.subarray(0, Math.min(buffer.length, data.end - at)), at);
      if (count === 0) return;
      writeAt(target.number, buffer.subarray(0, count), at);
      at += count;
    }
  }
}
