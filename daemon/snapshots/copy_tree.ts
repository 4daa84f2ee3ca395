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
  openContents,
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

/** Entries that are copied in one turn of the event loop, and bytes: some milliseconds each. */
const entriesPerTurn = 128;
const bytesPerTurn = 8 << 20;
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
 * Sockets are left out; attributes that the file system of `to` does not take are too. Others have their turn while it
 * works; `check` is called between the turns, and ends the work by throwing.
 */
export async function copyTree(from: string, to: string, check: () => void = () => {}): Promise<void> {
  await new TreeCopy(from, to, check).run();
}

class TreeCopy {
  readonly #firstCopies = new Map<string, FirstCopy>();
  #entriesLeft = entriesPerTurn;
  #bytesLeft = bytesPerTurn;

  constructor(readonly from: string, readonly to: string, readonly check: () => void) {}

  async run(): Promise<void> {
    const order: string[] = [];
    const pending = [""];
    // Paths and not descriptors, so that depth is bounded by the length of a path and not by open files.
    for (let path; (path = pending.pop()) !== undefined;) {
      order.push(path);
      await this.#copyDirectory(path, pending);
    }
    // Last and innermost first, as every new entry changes the times of its directory.
    for (const path of order.reverse()) {
      this.#within(path, (source, target) => copyAttributes(source, target, "."));
      if (--this.#entriesLeft <= 0) await this.#turn();
    }
  }

  /** Lets others have their turn. */
  async #turn(): Promise<void> {
    this.#entriesLeft = entriesPerTurn;
    this.#bytesLeft = bytesPerTurn;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.check();
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
    for (let next = 0; next < names.length;) {
      const long = this.#within(path, (source, target) => {
        while (next < names.length && this.#entriesLeft-- > 0 && this.#bytesLeft > 0) {
          const name = names[next++]!;
          const done = this.#copyEntry(path, name, source, target);
          if (done === "directory") pending.push(`${path}/${name}`);
          else if (done !== undefined) return { name, status: done };
        }
        return undefined;
      });
      if (long !== undefined) await this.#copyLong(path, long.name, long.status);
      if (next < names.length) await this.#turn();
    }
  }

  /** The data of a file whose empty copy was made, in many turns; then its attributes. */
  async #copyLong(path: string, name: string, status: FileStatus): Promise<void> {
    for (let offset = 0; offset < status.size; offset += bytesPerTurn) {
      this.#within(path, (source, target) => {
        copyRange(source, target, name, offset, Math.min(status.size, offset + bytesPerTurn));
      });
      await this.#turn();
    }
    this.#within(path, (source, target) => {
      makeSize(target, name, status.size);
      copyAttributes(source, target, name);
    });
  }

  /** Copies one entry; says whether it is a directory, whose entries are still to come, or a file whose data are. */
  #copyEntry(path: string, name: string, source: number, target: number): "directory" | FileStatus | undefined {
    const status = statAt(source, name);
    const type = status.mode & fileTypeMask;
    if (type === S_IFSOCK) return undefined;
    if (type === S_IFDIR) {
      makeDirectoryAt(target, name, 0o700);
      return "directory";
    }
    if (status.links > 1) {
      const key = `${status.device.major}:${status.device.minor}:${status.inode}`;
      const first = this.#firstCopies.get(key);
      if (first !== undefined) {
        this.#within(first.directory, (_, directory) => linkAt(directory, first.name, target, name));
        return undefined;
      }
      this.#firstCopies.set(key, { directory: path, name });
    }
    makeCopy(source, target, name, status);
    if (type === flags("S_IFREG")) {
      if (status.size > bytesPerTurn) return status;
      copyRange(source, target, name, 0, status.size);
      makeSize(target, name, status.size);
      this.#bytesLeft -= status.size;
    }
    copyAttributes(source, target, name);
    return undefined;
  }
}

function makeCopy(source: number, target: number, name: string, status: FileStatus): void {
  const type = status.mode & fileTypeMask;
  if (type === flags("S_IFREG")) {
    return closeFile(openAt(target, name, flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW"), 0o600));
  }
  if (type === S_IFLNK) {
    const text = readLinkAt(source, name);
    if (text === undefined) throw new Failure("Aborted", `copy "${name}": it changed while it was copied`);
    return symlinkAt(text, target, name);
  }
  makeNodeAt(target, name, type | 0o600, status.major, status.minor);
}

/** Copies what is data between two offsets; holes stay holes. */
function copyRange(source: number, target: number, name: string, start: number, end: number): void {
  const from = openContents(source, name);
  try {
    const to = openAt(target, name, flags("O_WRONLY", "O_NOFOLLOW"));
    try {
      for (let at = start, data; at < end && (data = nextData(from, at)) !== undefined; at = data.end) {
        const dataEnd = Math.min(data.end, end);
        for (let offset = data.start; offset < dataEnd;) {
          const taken = readAt(from, chunk.subarray(0, Math.min(chunk.length, dataEnd - offset)), offset);
          if (taken === 0) break;
          writeAt(to, chunk.subarray(0, taken), offset);
          offset += taken;
        }
      }
    } finally {
      closeFile(to);
    }
  } finally {
    closeFile(from);
  }
}

/** Gives a file its size where it ends in a hole. */
function makeSize(target: number, name: string, size: number): void {
  const to = openAt(target, name, flags("O_WRONLY", "O_NOFOLLOW"));
  try {
    truncateFile(to, size);
  } finally {
    closeFile(to);
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
