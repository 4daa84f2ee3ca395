/**
 * Telling small trees from large ones without reading a large one.
 *
 * @module
 */
import { isErrno } from "../../ffi/errno.ts";
import { statAtIfThere } from "../../ffi/files.ts";
import { openTree, walkTree } from "../../ffi/walk_tree.ts";

/** What a main thread copies or counts itself in about ten milliseconds. */
const entriesMax = 400;
const bytesMax = 8 << 20;

/**
 * Whether a tree has at most some hundred entries and a few megabytes. Takes about two milliseconds at most. A tree that
 * is not there is small: whoever works on it will say so.
 */
export function isSmallTree(path: string): boolean {
  let root: number;
  try {
    root = openTree(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return true;
    throw error;
  }
  let entries = 0, bytes = 0;
  for (const { kind, fd, name } of walkTree(root)) {
    if (kind !== "leave" && ++entries > entriesMax) return false;
    if (kind === "entry") bytes += (statAtIfThere(fd, name)?.blocks ?? 0) * 512;
    if (bytes > bytesMax) return false;
  }
  return true;
}
