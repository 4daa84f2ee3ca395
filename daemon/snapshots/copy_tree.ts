/**
 * Copying a tree with everything that makes a root file system: owners, modes, times, links, nodes, attributes, holes.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { DirectoryChain } from "../../ffi/directory_chain.ts";
import { pathOf } from "../../ffi/directory_entries.ts";
import { errnoNumber, isErrno, SyscallError } from "../../ffi/errno.ts";
import {
  changeModeAt,
  changeOwnerAt,
  type FileStatus,
  linkAt,
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
  statAtIfThere,
  symlinkAt,
  truncateFile,
  writeAt,
} from "../../ffi/files.ts";
import { removalSteps } from "../../ffi/remove_tree.ts";
import { walkTree } from "../../ffi/walk_tree.ts";
import { getXattrAt, listXattrsAt, setXattrAt } from "../../ffi/xattr.ts";

const chunk = new Uint8Array(1 << 20);
const fileTypeMask = flags("S_IFMT");
const S_IFSOCK = 0o140000;

/** Entries that are copied in one turn of the event loop, and bytes: some milliseconds each. */
const entriesPerTurn = 128;
const bytesPerTurn = 8 << 20;

/**
 * Copies what is in the directory `from` into the existing, empty directory `to`, which is nobody else's, and gives `to` the
 * attributes of `from`. Sockets are left out, so is what is mounted there, and attributes that the file system of `to` does
 * not take. The source may change meanwhile: no link is followed, and nothing is opened that may wait.
 *
 * Others have their turn while it works; `check` is called between the turns, and ends the work by throwing. Throws also
 * {@link SyscallError}, `ESTALE` where the source changed too much.
 */
export async function copyTree(from: string, to: string, check: () => void = () => {}): Promise<void> {
  const how = flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW");
  let entries = 0, bytes = 0;
  for (const copied of copySteps(openAt(flags("AT_FDCWD"), from, how), openAt(flags("AT_FDCWD"), to, how))) {
    bytes += copied;
    if (++entries < entriesPerTurn && bytes < bytesPerTurn) continue;
    entries = bytes = 0;
    await new Promise((resolve) => setTimeout(resolve, 0));
    check();
  }
}

/** Takes over the descriptors. Yields after each entry, and each mebibyte of a file, how many bytes were copied. */
function* copySteps(from: number, to: number): Generator<number> {
  using target = new DirectoryChain(to);
  using shared = new SharedFiles(to);
  const source = statAt(from, "");
  // The walk closes its root, whose attributes come last: every new entry changes the times of its directory.
  using root = new Descriptor(openAt(from, ".", flags("O_RDONLY", "O_DIRECTORY")));
  for (const { kind, fd, name } of walkTree(from)) {
    if (kind === "enter" || kind === "mount") makeDirectoryAt(target.fd, name, 0o700);
    if (kind === "enter") target.enter(name);
    else if (kind === "mount") copyAttributes(fd, name, statAt(fd, name), target.fd, name);
    else if (kind === "leave") {
      copyAttributes(fd, ".", statAt(fd, ""), target.fd, ".");
      target.leave();
    } else yield* copyEntry(fd, name, target.fd, shared);
    yield 0;
  }
  yield* shared.remove();
  copyAttributes(root.number, ".", source, target.fd, ".");
}

/** Files with several names: the first copy of each waits in a directory of its own for the other ones. */
class SharedFiles implements Disposable {
  #fd: number | undefined;
  readonly #name = `.barge-copy-${crypto.randomUUID()}`;
  readonly #root: Descriptor;

  constructor(root: number) {
    this.#root = new Descriptor(openAt(root, ".", flags("O_RDONLY", "O_DIRECTORY")));
  }

  /** Gives the file another name where it has been copied; says whether. */
  link(status: FileStatus, directory: number, name: string): boolean {
    if (this.#fd === undefined) return false;
    try {
      linkAt(this.#fd, keyOf(status), directory, name);
      return true;
    } catch (error) {
      // Its first name is to come, or it has as many as a file can have: then there will be another file.
      if (isErrno(error, "ENOENT", "EMLINK")) return false;
      throw error;
    }
  }

  /** Keeps a copy. */
  keep(status: FileStatus, directory: number, name: string): void {
    if (this.#fd === undefined) {
      makeDirectoryAt(this.#root.number, this.#name, 0o700);
      this.#fd = openAt(this.#root.number, this.#name, flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW"));
    }
    try {
      linkAt(directory, name, this.#fd, keyOf(status));
    } catch (error) {
      if (!isErrno(error, "EEXIST", "EMLINK")) throw error;
    }
  }

  *remove(): Generator<number> {
    if (this.#fd !== undefined) yield* removalSteps(`/proc/self/fd/${this.#root.number}/${this.#name}`);
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) new Descriptor(this.#fd).close();
    this.#root.close();
  }
}

function keyOf({ device, inode }: FileStatus): string {
  return `${device.major}:${device.minor}:${inode}`;
}

function* copyEntry(source: number, name: string, target: number, shared: SharedFiles): Generator<number> {
  const status = statAtIfThere(source, name);
  if (status === undefined) return;
  const type = status.mode & fileTypeMask;
  if (type === S_IFSOCK) return;
  if (status.links > 1 && shared.link(status, target, name)) return;
  if (type === flags("S_IFREG")) yield* copyFile(source, name, status, target);
  else if (type === S_IFDIR) throw changed(source, name);
  else if (type === S_IFLNK) symlinkAt(readLinkAt(source, name) ?? changedText(source, name), target, name);
  else makeNodeAt(target, name, type | 0o600, status.major, status.minor);
  copyAttributes(source, name, status, target, name);
  if (status.links > 1) shared.keep(status, target, name);
}

/** Copies what is data; holes stay holes. */
function* copyFile(source: number, name: string, status: FileStatus, target: number): Generator<number> {
  using from = new Descriptor(openContents(source, name));
  const opened = statAt(from.number, "");
  if (opened.inode !== status.inode || (opened.mode & fileTypeMask) !== flags("S_IFREG")) throw changed(source, name);
  using to = new Descriptor(openAt(target, name, flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW"), 0o600));
  const { size } = opened;
  for (let at = 0, data; at < size && (data = nextData(from.number, at)) !== undefined; at = data.end) {
    const end = Math.min(data.end, size);
    for (let offset = data.start; offset < end;) {
      const taken = readAt(from.number, chunk.subarray(0, Math.min(chunk.length, end - offset)), offset);
      if (taken === 0) break;
      writeAt(to.number, chunk.subarray(0, taken), offset);
      offset += taken;
      yield taken;
    }
  }
  // The last hole has no data that would make the file long enough.
  truncateFile(to.number, size);
}

function changed(source: number, name: string): SyscallError {
  return new SyscallError("copy", errnoNumber("ESTALE"), pathOf(source, name));
}

function changedText(source: number, name: string): never {
  throw changed(source, name);
}

function copyAttributes(source: number, name: string, status: FileStatus, target: number, copy: string): void {
  changeOwnerAt(target, copy, status.uid, status.gid);
  // After the owner, whose change clears file capabilities and set-user-ID bits.
  for (const attribute of listXattrsAt(source, name)) {
    const value = getXattrAt(source, name, attribute);
    if (value === undefined) continue;
    try {
      setXattrAt(target, copy, attribute, value);
    } catch (error) {
      if (!isErrno(error, "EOPNOTSUPP", "EPERM", "EINVAL")) throw error;
    }
  }
  if ((status.mode & fileTypeMask) !== S_IFLNK) changeModeAt(target, copy, status.mode & 0o7777);
  setTimesAt(target, copy, status.atime, status.mtime);
}
