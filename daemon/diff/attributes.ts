/**
 * Owner, mode, times and extended attributes of what an entry makes, in the order that keeps them all: a change of
 * owner clears set-user-ID bits and file capabilities, so it comes first, and times come last.
 *
 * @module
 */
import { isErrno } from "../../ffi/errno.ts";
import {
  changeMode,
  changeModeAt,
  changeOwner,
  changeOwnerAt,
  type FileTime,
  setTimes,
  setTimesAt,
} from "../../ffi/files.ts";
import { setXattr, setXattrAt } from "../../ffi/xattr.ts";
import type { TarXattr } from "./tar_pax.ts";
import type { TarEntry } from "./tar_reader.ts";

/** The attributes of an entry, apart from its contents and type. */
export type EntryAttributes = Pick<TarEntry, "mode" | "uid" | "gid" | "atime" | "mtime" | "xattrs">;

const epoch: FileTime = { seconds: 0, nanos: 0 };

/** int64 nanoseconds end in the year 2262. */
const secondsMax = 9223372036;

/** Times before 1970, or after what 64 bits of nanoseconds can hold, become 0, as containerd's do. */
function bounded(time: FileTime): FileTime {
  if (time.seconds < 0 || time.seconds > secondsMax) return epoch;
  return time.seconds === secondsMax && time.nanos > 854775807 ? epoch : time;
}

/** The times to set: the access time is the later one of both, as containerd has it. */
export function timesOf(entry: Pick<TarEntry, "atime" | "mtime">): { atime: FileTime; mtime: FileTime } {
  const { atime = entry.mtime, mtime } = entry;
  const isLater = atime.seconds > mtime.seconds || (atime.seconds === mtime.seconds && atime.nanos > mtime.nanos);
  return { atime: bounded(isLater ? atime : mtime), mtime: bounded(mtime) };
}

/** What kind of file gets attributes; links have no mode, and only files and directories may have `user.*`. */
export type AttributeHolder = "file" | "directory" | "symlink" | "special";

/** Told about an attribute that was left out, in one sentence. */
export type Warn = (sentence: string) => void;

/** Sets everything on an open file that this process just wrote. Throws {@link SyscallError}. */
export function setFileAttributes(fd: number, entry: EntryAttributes, warn: Warn): void {
  changeOwner(fd, entry.uid, entry.gid);
  if (entry.xattrs.length > 0) setXattrs(entry.xattrs, "file", warn, (name, value) => setXattr(fd, name, value));
  changeMode(fd, entry.mode & 0o7777);
  const { atime, mtime } = timesOf(entry);
  setTimes(fd, atime, mtime);
}

/** Sets everything on a name in an open directory. Throws {@link SyscallError}. */
export function setAttributesAt(
  dir: number,
  name: string,
  entry: EntryAttributes,
  holder: AttributeHolder,
  warn: Warn,
): void {
  changeOwnerAt(dir, name, entry.uid, entry.gid);
  if (entry.xattrs.length > 0) {
    setXattrs(entry.xattrs, holder, warn, (key, value) => setXattrAt(dir, name, key, value));
  }
  if (holder !== "symlink") changeModeAt(dir, name, entry.mode & 0o7777);
  const { atime, mtime } = timesOf(entry);
  setTimesAt(dir, name, atime, mtime);
}

function setXattrs(
  xattrs: readonly TarXattr[],
  holder: AttributeHolder,
  warn: Warn,
  set: (name: string, value: Uint8Array) => void,
): void {
  for (const { name, value } of xattrs) {
    if (name.startsWith("trusted.")) {
      // Overlayfs keeps its own marks there: a layer could hide or redirect files of others.
      warn(`extended attribute "${name}" was left out: trusted attributes are never taken from a layer`);
      continue;
    }
    try {
      set(name, value);
    } catch (error) {
      if (isErrno(error, "EOPNOTSUPP")) {
        warn(`extended attribute "${name}" was left out: the file system does not support it`);
      } else if (
        !(isErrno(error, "EPERM") && name.startsWith("user.") && holder !== "file" && holder !== "directory")
      ) {
        throw error;
      }
    }
  }
}
