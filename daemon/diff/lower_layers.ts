/**
 * The layers below an overlayfs upper directory, looked at as overlayfs would show them, without a mount.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { type FileStatus, openBeneath, readLinkAt, S_IFDIR, S_IFLNK, statAtIfThere } from "../../ffi/files.ts";
import { getXattrAt } from "../../ffi/xattr.ts";
import { opaqueXattr } from "./whiteout.ts";

/** Something that the layers show. */
export interface LowerFile {
  /** The directory that holds it in its layer, as a descriptor that the caller closes. */
  readonly parent: Descriptor;
  /** Its name in that directory; "" for the root of all layers. */
  readonly name: string;
  /** Its path without links. */
  readonly path: readonly string[];
  readonly status: FileStatus;
}

const typeMask = flags("S_IFMT");
const directoryFlags = flags("O_PATH", "O_DIRECTORY");
const linksMax = 255;

/** Whether the file is overlayfs's mark for a removed name: a character device 0:0. */
export function isWhiteout(status: FileStatus): boolean {
  return (status.mode & typeMask) === flags("S_IFCHR") && status.major === 0 && status.minor === 0;
}

/** Whether the directory hides what lower layers have in it. `name` "" asks about the open directory itself. */
export function isOpaque(dir: number, name: string): boolean {
  const value = getXattrAt(dir, name, opaqueXattr);
  return value !== undefined && value.length === 1 && value[0] === 0x79;
}

/** Lower directories of a mount, nearest first. */
export class LowerLayers implements Disposable {
  readonly #roots: Descriptor[] = [];

  /** Opens the directories; throws {@link SyscallError} with the path of one that cannot be opened. */
  constructor(dirs: readonly string[]) {
    try {
      for (const dir of dirs) this.#roots.push(openFile(dir, directoryFlags));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * What the merged layers show at a path. Links in parents are followed inside, and so is the last component where
   * `followLast` is set. Undefined where there is nothing.
   */
  find(path: readonly string[], followLast: boolean): LowerFile | undefined {
    const real: string[] = [];
    const rest = [...path];
    let links = 0;
    let found = this.#lookup(real);
    while (rest.length > 0) {
      const part = rest.shift()!;
      if (part === "" || part === ".") continue;
      found?.parent.close();
      if (part === "..") real.pop();
      else real.push(part);
      found = this.#lookup(real);
      const isLink = found !== undefined && (found.status.mode & typeMask) === S_IFLNK;
      if (found === undefined) return undefined;
      if (!isLink || (rest.length === 0 && !followLast)) continue;
      if (++links > linksMax) break;
      const target = readLinkAt(found.parent.number, found.name) ?? "";
      real.pop();
      if (target.startsWith("/")) real.length = 0;
      rest.unshift(...target.split("/"));
      found.parent.close();
      // The target may add no component, as "/" or "." do.
      found = this.#lookup(real);
    }
    if (links <= linksMax) return found;
    found?.parent.close();
    return undefined;
  }

  /** What the merged layers show at a path without links. */
  #lookup(path: readonly string[]): LowerFile | undefined {
    for (const root of this.#roots) {
      const seen = lookupInLayer(root.number, path);
      if (seen === "hidden") return undefined;
      if (seen !== undefined) return seen;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    for (const root of this.#roots) root.close();
  }
}

/** `undefined`: this layer says nothing about the path; "hidden": it hides what lower ones have there. */
function lookupInLayer(root: number, path: readonly string[]): LowerFile | "hidden" | undefined {
  let parent = new Descriptor(openBeneath(root, "", directoryFlags));
  let status = statAtIfThere(parent.number, "")!;
  let opaque = false;
  for (const [index, name] of path.entries()) {
    if (index > 0) {
      const above = parent;
      try {
        parent = new Descriptor(openBeneath(above.number, path[index - 1]!, directoryFlags));
      } finally {
        above.close();
      }
    }
    opaque ||= isOpaque(parent.number, "");
    const next = statAtIfThere(parent.number, name);
    const isLast = index === path.length - 1;
    const isBlocked = next !== undefined && !isLast && (next.mode & typeMask) !== S_IFDIR;
    if (next === undefined || isBlocked || isWhiteout(next)) {
      parent.close();
      return next === undefined && !opaque ? undefined : "hidden";
    }
    status = next;
  }
  return { parent, name: path.at(-1) ?? "", path: [...path], status };
}

/**
 * Whether the upper directory itself keeps what lower layers have at the path from being seen. A directory's own opaque
 * mark hides its contents, not the directory.
 */
export function upperHides(upper: number, path: readonly string[]): boolean {
  let fd = new Descriptor(openBeneath(upper, "", directoryFlags));
  try {
    for (const [index, name] of path.entries()) {
      if (isOpaque(fd.number, "")) return true;
      const status = statAtIfThere(fd.number, name);
      if (status === undefined) return false;
      const isLast = index === path.length - 1;
      if ((status.mode & typeMask) !== S_IFDIR) return !isLast || isWhiteout(status);
      if (isLast) return false;
      const next = new Descriptor(openBeneath(fd.number, name, directoryFlags));
      fd.close();
      fd = next;
    }
    return false;
  } catch (error) {
    // Replaced by something else on the way: nothing below can be seen.
    if (isErrno(error, "ENOTDIR", "ELOOP")) return true;
    throw error;
  } finally {
    fd.close();
  }
}
