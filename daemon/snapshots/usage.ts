/**
 * How much disk a tree takes.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { closeFile, listDirectory, openAt, S_IFDIR, statAt } from "../../ffi/files.ts";
import type { Usage } from "./snapshotter.ts";

/** Entries that are looked at in one turn of the event loop: about two milliseconds. */
const entriesPerTurn = 512;

/** Disk blocks and inodes below and with a directory, which is not followed. A file with several names counts once. */
export async function treeUsage(path: string): Promise<Usage> {
  const seen = new Set<string>();
  let size = 0, entries = 0;
  const pending = [path];
  for (let directory; (directory = pending.pop()) !== undefined;) {
    const fd = openAt(flags("AT_FDCWD"), directory, flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW"));
    try {
      for (const name of ["", ...listDirectory(fd)]) {
        const status = statAt(fd, name);
        const isDirectory = (status.mode & flags("S_IFMT")) === S_IFDIR;
        if (isDirectory && name !== "") {
          pending.push(`${directory}/${name}`);
          continue;
        }
        const inode = `${status.device.major}:${status.device.minor}:${status.inode}`;
        if (seen.has(inode)) continue;
        seen.add(inode);
        size += status.blocks * 512;
        if (++entries % entriesPerTurn === 0) await new Promise((resolve) => setTimeout(resolve, 0));
      }
    } finally {
      closeFile(fd);
    }
  }
  return { size, inodes: seen.size };
}
