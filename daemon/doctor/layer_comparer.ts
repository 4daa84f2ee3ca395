/**
 * Compares a directory with the layers that were applied to it.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { errnoText, isErrno, SyscallError } from "../../ffi/errno.ts";
import {
  closeFile,
  type FileStatus,
  nextData,
  openBeneath,
  readAt,
  readLinkAt,
  S_IFDIR,
  S_IFLNK,
  statAt,
  statAtIfThere,
} from "../../ffi/files.ts";
import { isFailure } from "../../api/errors.ts";
import type { ApplyForm } from "../diff/apply.ts";
import { checkEntry } from "../diff/entry_limits.ts";
import { isWhiteout } from "../diff/lower_layers.ts";
import type { TarEntry, TarSink } from "../diff/tar_reader.ts";
import { cleanPath, type Directory, joinPath, TargetTree } from "../diff/target_tree.ts";
import { inUserNamespace } from "../diff/user_namespace.ts";
import { isOpaqueMark, whiteoutName } from "../diff/whiteout.ts";
import { Discrepancies } from "./discrepancies.ts";

const typeMask = flags("S_IFMT");
const regular = flags("S_IFREG");
const contentsFlags = flags("O_RDONLY", "O_NONBLOCK", "O_NOCTTY");
const lookFlags = flags("O_PATH", "O_NOFOLLOW");

const types = new Map([
  [regular, "a file"],
  [S_IFDIR, "a directory"],
  [S_IFLNK, "a symbolic link"],
  [flags("S_IFCHR"), "a character device"],
  [flags("S_IFBLK"), "a block device"],
  [flags("S_IFIFO"), "a fifo"],
]);

/** Bytes that are read at once. */
const readBytes = 256 * 1024;

/** The file whose contents come now. */
interface OpenFile {
  readonly fd: number;
  readonly size: number;
  /** Up to here the contents have been compared. */
  at: number;
  problem: string | undefined;
}

/** The place of an entry in the tree. */
interface Found {
  readonly parent: Directory | undefined;
  readonly name: string;
  readonly path: string;
  readonly realPath: string;
}

/**
 * The sink of a tar reader for each layer, from the base up; {@link nextLayer} lies between two. Nothing is changed, no
 * link is followed out of the tree, and no mount below it is looked into. What differs is in {@link discrepancies}.
 *
 * In the overlay form the directory has one layer, and in the plain one all of them.
 */
export class LayerComparer implements TarSink, Disposable {
  readonly discrepancies = new Discrepancies();
  readonly #form: ApplyForm;
  readonly #tree: TargetTree;
  readonly #buffer = new Uint8Array(readBytes);
  #layer = 0;
  #place: Found | undefined;
  #file: OpenFile | undefined;

  /** Throws {@link SyscallError} where `dir` cannot be opened. */
  constructor(dir: string, form: ApplyForm) {
    this.#form = form;
    // Both are for those who make directories.
    this.#tree = new TargetTree(dir, { implied: () => {}, obstructed: () => false });
  }

  /** The archive of the next layer begins. */
  nextLayer(): void {
    this.#layer++;
  }

  entry(entry: TarEntry): void {
    // As applying refuses them.
    checkEntry(entry);
    this.#tree.trim();
    const parts = cleanPath(entry.name);
    const name = parts.pop();
    if (name === undefined) return;
    const { directory, path } = this.#find(parts);
    if (isOpaqueMark(name)) {
      // An overlay's directory has the files of its own layer only.
      if (this.#form === "plain") {
        for (const hidden of [parts.join("/"), path]) this.discrepancies.hideBelow(hidden, this.#layer);
      }
      return;
    }
    const isRemoval = name.startsWith(".wh.");
    const own = isRemoval ? whiteoutName(name, entry.name) : name;
    const place = this.#place = {
      parent: directory,
      name: own,
      path: [...parts, own].join("/"),
      realPath: joinPath(path, own),
    };
    const below = entry.type === "directory" && !isRemoval ? "kept" : "gone";
    for (const known of [place.path, place.realPath]) this.discrepancies.supersede(known, below);
    try {
      const status = directory === undefined ? undefined : statAtIfThere(directory.fd, own);
      if (isRemoval) this.#checkRemoval(place, status);
      else this.#check(entry, place, status);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#tell(place, `cannot be looked at: ${errnoText(error.errno)}`);
    }
  }

  data(bytes: Uint8Array, offset: number): void {
    const file = this.#file;
    if (file === undefined || file.problem !== undefined) return;
    this.#reading(file, () => {
      this.#compareHole(file, offset);
      for (let done = 0; done < bytes.length && file.problem === undefined;) {
        const want = this.#buffer.subarray(0, Math.min(readBytes, bytes.length - done));
        const count = readAt(file.fd, want, offset + done);
        const isSame = count === want.length && isEqual(want, bytes.subarray(done, done + count));
        if (!isSame) file.problem = "has other content";
        done += count;
      }
      file.at = offset + bytes.length;
    });
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      if (file.problem === undefined) this.#reading(file, () => this.#compareHole(file, file.size));
    } finally {
      closeFile(file.fd);
    }
    if (file.problem !== undefined) this.#tell(this.#place!, file.problem);
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeFile(this.#file.fd);
    this.#file = undefined;
    this.#tree[Symbol.dispose]();
  }

  #find(parts: readonly string[]): { directory: Directory | undefined; path: string } {
    try {
      return this.#tree.find(parts);
    } catch (error) {
      // Links that lead around, or what a bad disk does not tell: nothing can be seen behind them.
      if (!isFailure(error, "InvalidArgument") && !(error instanceof SyscallError)) throw error;
      return { directory: undefined, path: parts.join("/") };
    }
  }

  #tell(place: Found, problem: string, isWhiteout = false): void {
    if (this.#isCovered(place.realPath)) return;
    const { path, realPath } = place;
    this.discrepancies.add({ path, realPath, layer: this.#layer, problem, isWhiteout });
  }

  /** Whether something is mounted there, which hides what the tree has. */
  #isCovered(path: string): boolean {
    try {
      closeFile(openBeneath(this.#tree.root.fd, path, lookFlags, 0, true));
      return false;
    } catch (error) {
      return isErrno(error, "EXDEV");
    }
  }

  #checkRemoval(place: Found, status: FileStatus | undefined): void {
    // Where a directory is, something below has come after the removal; and it may have been applied through a mount, which
    // marks nothing that is not there.
    if (status === undefined || (status.mode & typeMask) === S_IFDIR) return;
    if (this.#form === "overlay" && isWhiteout(status)) return;
    this.#tell(place, "is there, and should have been removed", true);
  }

  #check(entry: TarEntry, place: Found, status: FileStatus | undefined): void {
    const wanted = typeOf(entry);
    // Devices are left out in a user namespace.
    if (wanted === undefined && entry.type !== "link") return;
    if (status === undefined) return this.#tell(place, "is gone");
    const type = status.mode & typeMask;
    // What a hard link has is compared at its target.
    if (entry.type === "link") return type === S_IFDIR ? this.#tell(place, wrongType(type, regular)) : undefined;
    if (type !== wanted) return this.#tell(place, wrongType(type, wanted!));
    switch (entry.type) {
      case "file":
        return this.#begin(entry, place, status);
      case "symlink":
        return this.#checkLink(entry, place);
      case "char":
      case "block":
        // The kernel's numbers have 12 and 20 bits, and mknod takes those of any.
        if (status.major === (entry.major & 0xfff) && status.minor === (entry.minor & 0xfffff)) return;
        return this.#tell(
          place,
          `is the device ${status.major}:${status.minor} instead of ${entry.major}:${entry.minor}`,
        );
    }
  }

  #checkLink({ linkName }: TarEntry, place: Found): void {
    const text = readLinkAt(place.parent!.fd, place.name);
    if (text === linkName) return;
    this.#tell(place, `is a link to ${JSON.stringify(text)} instead of ${JSON.stringify(linkName)}`);
  }

  #begin({ size }: TarEntry, place: Found, status: FileStatus): void {
    if (status.size !== size) {
      return this.#tell(place, `has ${status.size} bytes instead of ${size}`);
    }
    try {
      const fd = openBeneath(this.#tree.root.fd, place.realPath, contentsFlags, 0, true);
      this.#file = { fd, size, at: 0, problem: undefined };
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#tell(place, `cannot be read: ${errnoText(error.errno)}`);
      return;
    }
    // Somebody may have put another there since.
    if ((statAt(this.#file.fd, "").mode & typeMask) !== regular) this.#file.problem = "has other content";
  }

  #reading(file: OpenFile, read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      file.problem = `cannot be read: ${errnoText(error.errno)}`;
    }
  }

  /** What the archive leaves out of a sparse file is zeros. */
  #compareHole(file: OpenFile, end: number): void {
    while (file.at < end && file.problem === undefined) {
      const data = nextData(file.fd, file.at);
      if (data === undefined || data.start >= end) break;
      file.at = data.start;
      const want = this.#buffer.subarray(0, Math.min(readBytes, end - file.at, data.end - file.at));
      const count = readAt(file.fd, want, file.at);
      if (count < want.length || want.some((byte) => byte !== 0)) file.problem = "has other content";
      file.at += count;
    }
    file.at = Math.max(file.at, end);
  }
}

/** The type bits of what an entry makes; undefined where that is nothing of its own. */
function typeOf({ type }: TarEntry): number | undefined {
  switch (type) {
    case "file":
      return regular;
    case "directory":
      return S_IFDIR;
    case "symlink":
      return S_IFLNK;
    case "fifo":
      return flags("S_IFIFO");
    case "char":
    case "block":
      return inUserNamespace() ? undefined : flags(type === "char" ? "S_IFCHR" : "S_IFBLK");
    case "link":
    case "unknown":
      return undefined;
  }
}

function wrongType(type: number, wanted: number): string {
  return `is ${types.get(type) ?? "something"} instead of ${types.get(wanted) ?? "something else"}`;
}

function isEqual(some: Uint8Array, other: Uint8Array): boolean {
  for (let at = 0; at < some.length; at++) if (some[at] !== other[at]) return false;
  return true;
}
