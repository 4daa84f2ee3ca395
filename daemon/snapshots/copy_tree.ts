/**
 * Copying a tree with everything that makes a root file system: owners, modes, times, links, nodes, attributes, holes.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { isErrno } from "../../ffi/errno.ts";
import {
  changeModeAt,
  changeOwnerAt,
  closeFile,
  type FileStatus,
  linkAt,
  listDirectory,
  makeDirectoryAt,
  makeNodeAt,
  nextData,
  openAt,
  readAt,
  readLinkAt,
  S_IFDIR,
  S_IFLNK,
  setTimesAt,
  statAt,
  symlinkAt,
  truncateFile,
  writeAt,
} from "../../ffi/files.ts";
import { getXattrAt, listXattrsAt, setXattrAt } from "../../ffi/xattr.ts";

/** Entries that are copied in one turn of the event loop. */
const entriesPerTurn = 256;
const fileTypeMask = flags("S_IFMT");
const chunk = new Uint8Array(1 << 20);
const S_IFSOCK = 0o140000;

/** Where a file with several names was copied to first. */
interface FirstCopy {
  readonly directory: string;
  readonly name: string;
}

/**
 * Copies what is in the directory `from` into the existing directory `to`, and gives `to` the attributes of `from`.
 * Sockets are left out; attributes that the file system of `to` does not take are too.
 */
export async function copyTree(from: string, to: string): Promise<void> {
  await new TreeCopy(from, to).run();
}

class TreeCopy {
  readonly #firstCopies = new Map<string, FirstCopy>();
  #sinceTurn = 0;

  constructor(readonly from: string, readonly to: string) {}

  async run(): Promise<void> {
    const order: string[] = [];
    const pending = [""];
    // Paths and not descriptors, so that depth is bounded by the length of a path and not by open files.
    for (let path; (path = pending.pop()) !== undefined;) {
      order.push(path);
      await this.#copyDirectory(path, pending);
    }
    // Last and innermost first, as every new entry changes the times of its directory.
    for (const path of order.reverse()) this.#within(path, (source, target) => copyAttributes(source, target, "."));
  }

  #within<T>(path: string, body: (source: number, target: number) => T): T {
    const how = flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW");
    const source = openAt(flags("AT_FDCWD"), this.from + path, how);
    try {
      const target = openAt(flags("AT_FDCWD"), this.to + path, how);
      try {
        return body(source, target);
      } finally {
        closeFile(target);
      }
    } finally {
      closeFile(source);
    }
  }

  async #copyDirectory(path: string, pending: string[]): Promise<void> {
    const names = this.#within(path, (source) => listDirectory(source));
    for (let start = 0; start < names.length; start += entriesPerTurn) {
      this.#within(path, (source, target) => {
        for (const name of names.slice(start, start + entriesPerTurn)) {
          if (this.#copyEntry(path, name, source, target)) pending.push(`${path}/${name}`);
        }
      });
      this.#sinceTurn += Math.min(entriesPerTurn, names.length - start);
      if (this.#sinceTurn < entriesPerTurn) continue;
      this.#sinceTurn = 0;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  /** Copies one entry, and says whether it is a directory, whose entries are still to come. */
  #copyEntry(path: string, name: string, source: number, target: number): boolean {
    const status = statAt(source, name);
    const type = status.mode & fileTypeMask;
    if (type === S_IFSOCK) return false;
    if (type === S_IFDIR) {
      makeDirectoryAt(target, name, 0o700);
      return true;
    }
    if (status.links > 1) {
      const key = `${status.device.major}:${status.device.minor}:${status.inode}`;
      const first = this.#firstCopies.get(key);
      if (first !== undefined) {
        this.#within(first.directory, (_, directory) => linkAt(directory, first.name, target, name));
        return false;
      }
      this.#firstCopies.set(key, { directory: path, name });
    }
    makeCopy(source, target, name, status);
    copyAttributes(source, target, name);
    return false;
  }
}

function makeCopy(source: number, target: number, name: string, status: FileStatus): void {
  const type = status.mode & fileTypeMask;
  if (type === flags("S_IFREG")) return copyData(source, target, name, status.size);
  if (type === S_IFLNK) {
    const text = readLinkAt(source, name);
    if (text === undefined) throw new Failure("Aborted", `copy "${name}": it changed while it was copied`);
    return symlinkAt(text, target, name);
  }
  makeNodeAt(target, name, type | 0o600, status.major, status.minor);
}

function copyData(source: number, target: number, name: string, size: number): void {
  const from = openAt(source, name, flags("O_RDONLY", "O_NOFOLLOW"));
  try {
    const to = openAt(target, name, flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW"), 0o600);
    try {
      for (let at = 0, data; at < size && (data = nextData(from, at)) !== undefined; at = data.end) {
        for (let offset = data.start; offset < data.end;) {
          const taken = readAt(from, chunk.subarray(0, Math.min(chunk.length, data.end - offset)), offset);
          if (taken === 0) break;
          writeAt(to, chunk.subarray(0, taken), offset);
          offset += taken;
        }
      }
      truncateFile(to, size);
    } finally {
      closeFile(to);
    }
  } finally {
    closeFile(from);
  }
}

function copyAttributes(source: number, target: number, name: string): void {
  const status = statAt(source, name);
  changeOwnerAt(target, name, status.uid, status.gid);
  // After the owner, whose change clears file capabilities and set-user-ID bits.
  for (const attribute of listXattrsAt(source, name)) {
    const value = getXattrAt(source, name, attribute);
    if (value === undefined) continue;
    try {
      setXattrAt(target, name, attribute, value);
    } catch (error) {
      if (!isErrno(error, "EOPNOTSUPP", "EPERM", "EINVAL")) throw error;
    }
  }
  if ((status.mode & fileTypeMask) !== S_IFLNK) changeModeAt(target, name, status.mode & 0o7777);
  setTimesAt(target, name, status.atime, status.mtime);
}
