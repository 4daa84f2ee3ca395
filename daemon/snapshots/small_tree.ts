/**
 * Telling small trees from large ones without reading a large one.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { isErrno } from "../../ffi/errno.ts";
import { closeFile, listDirectory, openAt, S_IFDIR, statAtIfThere } from "../../ffi/files.ts";

/** What a main thread copies or counts itself in about ten milliseconds. */
const entriesMax = 400;
const bytesMax = 8 << 20;
/** A directory of this size on disk may have so many entries that even their names take long to read. */
const directoryBytesMax = 64 << 10;

/**
 * Whether a tree has at most some hundred entries and a few megabytes. Takes about two milliseconds at most. A tree that
 * is not there is small: whoever works on it will say so.
 */
export function isSmallTree(path: string): boolean {
  const pending = [path];
  let entries = 0, bytes = 0;
  for (let directory; (directory = pending.pop()) !== undefined;) {
    let fd: number;
    try {
      fd = openAt(flags("AT_FDCWD"), directory, flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW"));
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) continue;
      throw error;
    }
    try {
      if ((statAtIfThere(fd, "")?.size ?? 0) > directoryBytesMax) return false;
      for (const name of listDirectory(fd)) {
        if (++entries > entriesMax) return false;
        const status = statAtIfThere(fd, name);
        if (status === undefined) continue;
        if ((status.mode & flags("S_IFMT")) === S_IFDIR) pending.push(`${directory}/${name}`);
        else bytes += status.blocks * 512;
        if (bytes > bytesMax) return false;
      }
    } finally {
      closeFile(fd);
    }
  }
  return true;
}
