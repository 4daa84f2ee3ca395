/**
 * Turns changes into the tar archive of a layer, by the rules of containerd's `archive.ChangeWriter`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import {
  type FileStatus,
  openBeneath,
  openContents,
  readAt,
  readLinkAt,
  S_IFDIR,
  S_IFLNK,
  statAt,
} from "../../ffi/files.ts";
import { getXattrAt } from "../../ffi/xattr.ts";
import type { Change, Deleted, Present } from "./changes.ts";
import type { Place } from "./copy_up.ts";
import { archiveEnd, type EntryHeader, type EntryType, headerBytes, paddingBytes } from "./tar_writer.ts";

/** Takes the archive's bytes in order; the memory is lent until it resolves. Calls do not overlap. */
export type ArchiveSink = (bytes: Uint8Array<ArrayBuffer>) => Promise<void>;

/** Options of {@link LayerWriter}. */
export interface LayerWriterOptions {
  /** Later times of files become this one, in whole seconds since 1970. Default: they stay. */
  readonly mtimeMax?: number | undefined;
}

const typeMask = flags("S_IFMT");
const capability = "security.capability";

/** Two such pieces are under way: one is filled while the other is packed. Small files share one. */
const pieceBytes = 256 * 1024;

/** Undefined for a socket, which no layer holds. */
function typeOf({ mode }: FileStatus): EntryType | undefined {
  switch (mode & typeMask) {
    case flags("S_IFREG"):
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case flags("S_IFCHR"):
      return "char";
    case flags("S_IFBLK"):
      return "block";
    case flags("S_IFIFO"):
      return "fifo";
    default:
      return undefined;
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0));
}

/**
 * One archive: {@link write} for each change in order, then {@link end}. Directories above a change come before it,
 * once; a removed name becomes an empty file `.wh.NAME`; the second and further names of an inode become hard links to
 * the first.
 */
export class LayerWriter implements Disposable {
  readonly #root: Descriptor;
  readonly #sink: ArchiveSink;
  readonly #mtimeMax: number;
  readonly #directories = new Set<string>();
  /** Inode → the name that has its contents in this archive. */
  readonly #sources = new Map<bigint, string>();
  /** Inode → names that were there before, and become links if another name brings the contents. */
  readonly #unmodified = new Map<bigint, string[]>();
  #piece = new Uint8Array(pieceBytes);
  #spare = new Uint8Array(pieceBytes);
  #fill = 0;
  #underWay: Promise<void> = Promise.resolve();

  /** `root` is the tree that the changes lead to. Throws {@link SyscallError}. */
  constructor(root: string, sink: ArchiveSink, options: LayerWriterOptions = {}) {
    this.#root = openFile(root, flags("O_RDONLY", "O_DIRECTORY"));
    this.#sink = sink;
    this.#mtimeMax = options.mtimeMax ?? Infinity;
  }

  /** Writes one change. Throws {@link Failure}, {@link SyscallError}, and what the sink throws. */
  async write(change: Change): Promise<void> {
    if (change.kind === "deleted") return await this.#writeDeleted(change);
    const type = typeOf(change.status);
    if (type === undefined) return;
    const isShared = type !== "directory" && change.status.links > 1;
    const source = isShared ? this.#sources.get(change.status.inode) : undefined;
    if (source !== undefined) return await this.#writeLink(change, source);
    if (change.kind === "unmodified") {
      const names = this.#unmodified.get(change.status.inode);
      if (names === undefined) this.#unmodified.set(change.status.inode, [change.path]);
      else names.push(change.path);
      return;
    }
    await this.#writeEntry(change, type);
    if (!isShared) return;
    this.#sources.set(change.status.inode, change.path);
    for (const path of this.#unmodified.get(change.status.inode) ?? []) {
      await this.#writeLink({ ...change, path }, change.path);
    }
    this.#unmodified.delete(change.status.inode);
  }

  /** Ends the archive; resolves when the sink has taken everything. */
  async end(): Promise<void> {
    await this.#put(archiveEnd());
    await this.#flush();
    await this.#underWay;
  }

  async #writeDeleted({ path }: Deleted): Promise<void> {
    const parent = parentOf(path);
    const name = `.wh.${path.slice(parent === "" ? 0 : parent.length + 1)}`;
    await this.#includeParents(path);
    await this.#put(headerBytes({
      type: "file",
      name: parent === "" ? name : `${parent}/${name}`,
      linkName: "",
      mode: 0,
      uid: 0,
      gid: 0,
      size: 0,
      mtime: 0,
      major: 0,
      minor: 0,
    }));
  }

  async #writeEntry(change: Present, type: EntryType): Promise<void> {
    const { path, place, status } = change;
    const linkName = type === "symlink" ? readLinkAt(place.dir, place.name) ?? "" : "";
    const header = this.#header(place, status, type, type === "directory" ? `${path}/` : path, linkName);
    await this.#includeParents(path);
    if (type === "directory") this.#directories.add(path);
    await this.#put(headerBytes(header));
    if (type === "file" && status.size > 0) await this.#putContents(path, place, status.size);
  }

  async #writeLink({ path, place, status }: Present, source: string): Promise<void> {
    const header = this.#header(place, status, "link", path, source);
    await this.#includeParents(path);
    await this.#put(headerBytes(header));
  }

  #header(place: Place, status: FileStatus, type: EntryType, name: string, linkName: string): EntryHeader {
    const value = getXattrAt(place.dir, place.name, capability);
    const isDevice = [flags("S_IFCHR"), flags("S_IFBLK")].includes(status.mode & typeMask);
    return {
      type,
      name,
      linkName,
      mode: status.mode & 0o7777,
      uid: status.uid,
      gid: status.gid,
      size: type === "file" ? status.size : 0,
      mtime: Math.min(status.mtime.seconds, this.#mtimeMax),
      major: isDevice ? status.major : 0,
      minor: isDevice ? status.minor : 0,
      ...(value === undefined || value.length === 0
        ? {}
        : { records: new Map([[`SCHILY.xattr.${capability}`, value]]) }),
    };
  }

  async #includeParents(path: string): Promise<void> {
    const parent = parentOf(path);
    if (parent === "" || this.#directories.has(parent)) return;
    // Before its own entry, whose writing asks again.
    this.#directories.add(parent);
    using held = new Descriptor(openBeneath(this.#root.number, parent, flags("O_RDONLY", "O_DIRECTORY")));
    const place = { dir: held.number, name: "" };
    const status = statAt(held.number, "");
    await this.#writeEntry({ kind: "modified", path: parent, place, status }, "directory");
  }

  async #putContents(path: string, place: Place, size: number): Promise<void> {
    using file = new Descriptor(openContents(place.dir, place.name));
    for (let at = 0; at < size;) {
      if (this.#fill === pieceBytes) await this.#flush();
      const want = Math.min(pieceBytes - this.#fill, size - at);
      const count = readAt(file.number, this.#piece.subarray(this.#fill, this.#fill + want), at);
      if (count === 0) {
        throw new Failure(
          "Aborted",
          `reading "${path}": it had ${size} bytes and has ${at} now: it was changed meanwhile`,
        );
      }
      this.#fill += count;
      at += count;
    }
    await this.#put(new Uint8Array(paddingBytes(size)));
  }

  async #put(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (this.#fill === pieceBytes) await this.#flush();
      const count = Math.min(bytes.length - at, pieceBytes - this.#fill);
      this.#piece.set(bytes.subarray(at, at + count), this.#fill);
      this.#fill += count;
      at += count;
    }
  }

  /** Hands the piece to the sink, and goes on with the other one when the sink has done with that. */
  async #flush(): Promise<void> {
    await this.#underWay;
    this.#underWay = this.#sink(this.#piece.subarray(0, this.#fill));
    // Awaited by the next flush; until then it is not an unhandled rejection.
    this.#underWay.catch(() => {});
    [this.#piece, this.#spare] = [this.#spare, this.#piece];
    this.#fill = 0;
  }

  [Symbol.dispose](): void {
    this.#root.close();
  }
}
