/**
 * How much disk a tree takes.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { isErrno } from "../../ffi/errno.ts";
import { closeFile, type FileStatus, listDirectory, openAt, S_IFDIR, statAt, statAtIfThere } from "../../ffi/files.ts";
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
 * Disk blocks and inodes below and with a directory, which is not followed. A file with several names counts once. Others
 * have their turn while it works.
 */
export async function treeUsage(path: string, { base, check }: UsageOptions = {}): Promise<Usage> {
  const seen = new Set<string>();
  let size = 0, entries = 0;
  const pending = [""];
  for (let below; (below = pending.pop()) !== undefined;) {
    const fd = openDirectory(path + below);
    const other = base === undefined ? undefined : openIfThere(base + below);
    try {
      for (const name of ["", ...listDirectory(fd)]) {
        const status = statAt(fd, name);
        const isDirectory = (status.mode & flags("S_IFMT")) === S_IFDIR;
        if (isDirectory && name !== "") {
          pending.push(`${below}/${name}`);
          continue;
        }
        if (++entries % entriesPerTurn === 0) {
          await new Promise((resolve) => setTimeout(resolve, 0));
          check?.();
        }
        if (other !== undefined && isSame(status, statAtIfThere(other, name))) continue;
        const inode = `${status.device.major}:${status.device.minor}:${status.inode}`;
        if (seen.has(inode)) continue;
        seen.add(inode);
        size += status.blocks * 512;
      }
    } finally {
      closeFile(fd);
      if (other !== undefined) closeFile(other);
    }
  }
  return { size, inodes: seen.size };
}

function openDirectory(path: string): number {
  return openAt(flags("AT_FDCWD"), path, flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW"));
}

function openIfThere(path: string): number | undefined {
  try {
    return openDirectory(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
}

/** Whether a file system's snapshot has left this as it was: inodes keep their numbers in it. */
function isSame(status: FileStatus, base: FileStatus | undefined): boolean {
  return base !== undefined && status.inode === base.inode && status.mode === base.mode && status.size === base.size &&
    status.mtime.seconds === base.mtime.seconds && status.mtime.nanos === base.mtime.nanos;
}
