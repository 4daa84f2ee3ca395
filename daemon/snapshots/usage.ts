/**
 * How much disk a tree takes.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { DirectoryChain } from "../../ffi/directory_chain.ts";
import { isErrno } from "../../ffi/errno.ts";
import { type FileStatus, S_IFDIR, statAt, statAtIfThere } from "../../ffi/files.ts";
import { openTree, type TreeStep, walkTree } from "../../ffi/walk_tree.ts";
import type { Usage } from "./snapshotter.ts";

/** Entries that are looked at in one turn of the event loop: about two milliseconds. */
const entriesPerTurn = 512;

/** Options of {@link treeUsage}. */
export interface UsageOptions {
  /** A tree that the other one was copied from: what is the same in both is not counted. */
  readonly base?: string | undefined;
  /** Called between the turns; ends the work by throwing. */
  readonly check?: () => void;
}

/**
 * Disk blocks and inodes below and with a directory, which is not followed. A file with several names counts once, and what
 * is mounted there not at all. Others have their turn while it works.
 */
export async function treeUsage(path: string, { base, check }: UsageOptions = {}): Promise<Usage> {
  using other = base === undefined ? undefined : openBase(base);
  const count = new Count();
  const root = openTree(path);
  let steps = 0;
  const walk = walkTree(root);
  count.add(statAt(root, ""), other?.status(""));
  for (const step of walk) {
    if (step.kind !== "leave") {
      if (step.kind === "enter") other?.enter(step);
      const status = statAtIfThere(step.fd, step.kind === "enter" ? "" : step.name);
      if (status !== undefined && step.kind !== "mount") {
        count.add(status, other?.status(step.kind === "enter" ? "" : step.name));
      }
    } else other?.leave(step);
    if (++steps % entriesPerTurn === 0) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      check?.();
    }
  }
  const { size, inodes } = count;
  return { size, inodes };
}

/** The sum. */
class Count implements Usage {
  size = 0;
  inodes = 0;
  /** Files whose other names are still to come, with the number of those. */
  readonly #shared = new Map<string, number>();

  add(status: FileStatus, base: FileStatus | undefined): void {
    if (base !== undefined && isSame(status, base)) return;
    if (status.links > 1 && !isDirectory(status)) {
      const inode = `${status.device.major}:${status.device.minor}:${status.inode}`;
      const left = (this.#shared.get(inode) ?? status.links) - 1;
      const isKnown = this.#shared.has(inode);
      if (left > 0) this.#shared.set(inode, left);
      else this.#shared.delete(inode);
      if (isKnown) return;
    }
    this.inodes++;
    this.size += status.blocks * 512;
  }
}

/** The tree that the other one was copied from, as far as it has the same directories. */
class Base implements Disposable {
  readonly #chain: DirectoryChain;
  /** Directories on the way that this tree does not have. */
  #missing = 0;

  constructor(root: number) {
    this.#chain = new DirectoryChain(root);
  }

  enter({ name }: TreeStep): void {
    if (this.#missing > 0 || this.#chain.tryEnter(name) < 0) this.#missing++;
  }

  leave(_: TreeStep): void {
    if (this.#missing > 0) this.#missing--;
    else this.#chain.leave();
  }

  status(name: string): FileStatus | undefined {
    return this.#missing > 0 ? undefined : statAtIfThere(this.#chain.fd, name);
  }

  [Symbol.dispose](): void {
    this.#chain[Symbol.dispose]();
  }
}

function openBase(path: string): Base | undefined {
  try {
    return new Base(openTree(path));
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
}

function isDirectory({ mode }: FileStatus): boolean {
  return (mode & flags("S_IFMT")) === S_IFDIR;
}

/** Whether a file system's snapshot has left this as it was: inodes keep their numbers in it. */
function isSame(status: FileStatus, base: FileStatus): boolean {
  return status.inode === base.inode && status.mode === base.mode && status.size === base.size &&
    status.mtime.seconds === base.mtime.seconds && status.mtime.nanos === base.mtime.nanos;
}
