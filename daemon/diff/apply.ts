/**
 * Applies the entries of a layer to a directory, by the rules of containerd's `archive.Apply`.
 *
 * Two forms: "plain" changes a complete tree, and whiteouts remove. "overlay" writes an overlayfs upper directory
 * without looking at the layers below, so that layers can be applied at the same time: whiteouts become 0:0 character
 * devices and opaque marks, and what needs the lower layers is listed for `settleLayer()`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { isErrno } from "../../ffi/errno.ts";
import {
  changeOwnerAt,
  closeFile,
  type FileTime,
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  S_IFDIR,
  S_IFLNK,
  setTimesAt,
  statAt,
  symlinkAt,
  truncateFile,
  unlinkAt,
  writeAt,
} from "../../ffi/files.ts";
import { setXattrAt } from "../../ffi/xattr.ts";
import { layerFailure } from "./apply_failure.ts";
import { type EntryAttributes, setAttributesAt, setFileAttributes, timesOf } from "./attributes.ts";
import { checkEntry, PathAccount } from "./entry_limits.ts";
import type { TarEntry, TarSink } from "./tar_reader.ts";
import { cleanPath, type Directory, joinPath, type ParentEvents, TargetTree } from "./target_tree.ts";
import { inUserNamespace } from "./user_namespace.ts";
import { isOpaqueMark, opaqueXattr, whiteoutName } from "./whiteout.ts";

/** How a layer is applied; see the module's comment. */
export type ApplyForm = "overlay" | "plain";

/** A hard link whose target is not in its own layer. Paths are below the target, without links in parents. */
export interface UnresolvedLink {
  readonly path: string;
  readonly target: string;
  /** Attributes of the link's entry; they count for the file that both names share. */
  readonly attributes?: EntryAttributes;
}

/** What is left to do with the lower layers, and what the user should hear. */
export interface Applied {
  /** Directories that had no entry of their own, parents first. Always empty in the plain form. */
  readonly impliedDirs: string[];
  /** In the order of the archive. Always empty in the plain form. */
  readonly unresolvedLinks: UnresolvedLink[];
  /** Sentences about things that were left out, each once. */
  readonly warnings: string[];
}

const regular = flags("S_IFREG");
const typeMask = flags("S_IFMT");
const createFlags = flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW");

/** A layer is told about at most this many things that were left out; more would only fill the terminal. */
const warningsMax = 20;

/** See the module's comment. The sink of a {@link TarReader}; `finish()` ends it. */
export class LayerApplier implements TarSink, Disposable {
  readonly #form: ApplyForm;
  readonly #tree: TargetTree;
  readonly #implied = new Set<string>();
  readonly #unresolved = new Map<string, UnresolvedLink>();
  readonly #directories = new Map<string, ReturnType<typeof timesOf>>();
  readonly #warnings = new Set<string>();
  /** Plain form: paths that this layer has entries for; an opaque mark spares them. */
  readonly #own = new Set<string>();
  /** Overlay form: names that this layer removes. */
  readonly #whiteouts = new Set<string>();
  /** Overlay form: directories below which no lower layer is seen. */
  readonly #opaque = new Set<string>();
  readonly #warn = (sentence: string) => {
    if (this.#warnings.size < warningsMax) this.#warnings.add(sentence);
  };
  readonly #account = new PathAccount();
  #entry: TarEntry | undefined;
  #file = -1;

  /** `dir` must exist. Throws {@link Failure} where it cannot be opened. */
  constructor(dir: string, form: ApplyForm) {
    this.#form = form;
    const events: ParentEvents = {
      implied: (path) => {
        if (form !== "overlay") return;
        this.#account.add(path);
        this.#implied.add(path);
      },
      obstructed: (parent, name, path) => this.#replaceWhiteout(parent, name, path),
    };
    try {
      this.#tree = new TargetTree(dir, events);
    } catch (error) {
      throw layerFailure(error, "unpacking into", dir);
    }
  }

  entry(entry: TarEntry): void {
    this.#entry = entry;
    this.#tree.trim();
    try {
      this.#begin(entry);
    } catch (error) {
      throw layerFailure(error, "unpacking", entry.name);
    }
  }

  data(bytes: Uint8Array, offset: number): void {
    if (this.#file === -1) return;
    try {
      writeAt(this.#file, bytes, offset);
    } catch (error) {
      throw layerFailure(error, "unpacking", this.#entry!.name);
    }
  }

  end(): void {
    if (this.#file === -1) return;
    const entry = this.#entry!;
    try {
      // The last hole of a sparse file has no data that would make the file long enough.
      if (entry.extents !== undefined) truncateFile(this.#file, entry.size);
      setFileAttributes(this.#file, entry, this.#warn);
    } catch (error) {
      throw layerFailure(error, "unpacking", entry.name);
    } finally {
      closeFile(this.#file);
      this.#file = -1;
    }
  }

  /** Sets the directories' times, which later entries have changed, and tells what is left to do. */
  finish(): Applied {
    for (const [path, { atime, mtime }] of this.#directories) this.#setDirectoryTimes(path, atime, mtime);
    return {
      impliedDirs: [...this.#implied].filter((path) => this.#isRealDirectory(path)),
      unresolvedLinks: [...this.#unresolved.values()],
      warnings: [...this.#warnings],
    };
  }

  [Symbol.dispose](): void {
    if (this.#file !== -1) closeFile(this.#file);
    this.#file = -1;
    this.#tree[Symbol.dispose]();
  }

  #setDirectoryTimes(path: string, atime: FileTime, mtime: FileTime): void {
    this.#tree.trim();
    try {
      const { parent, name } = this.#find(path);
      // Gone, or something else since: whatever replaced it has its own times.
      if (parent !== undefined && isDirectory(parent, name)) setTimesAt(parent.fd, name, atime, mtime);
    } catch (error) {
      throw layerFailure(error, "unpacking", path);
    }
  }

  #find(path: string): { parent: Directory | undefined; name: string } {
    const parts = path.split("/");
    const name = parts.pop()!;
    const found = this.#tree.find(parts);
    // A parent that has become a link leads to another directory.
    return { parent: found.path === parts.join("/") ? found.directory : undefined, name };
  }

  #isRealDirectory(path: string): boolean {
    this.#tree.trim();
    const { parent, name } = this.#find(path);
    return parent !== undefined && isDirectory(parent, name);
  }

  #begin(entry: TarEntry): void {
    checkEntry(entry);
    const parts = cleanPath(entry.name);
    const name = parts.pop();
    // The root's own entry changes nothing: containerd keeps the attributes of the directory that it was given.
    if (name === undefined) return;
    const parent = this.#tree.make(parts);
    if (name.startsWith(".wh.")) return this.#whiteout(entry, parent, name);
    const path = joinPath(parent.path, name);
    if (this.#create(entry, parent, name, path)) this.#record(path, entry);
  }

  #record(path: string, entry: TarEntry): void {
    if (this.#form === "plain" || entry.type === "directory" || entry.type === "link") this.#account.add(path);
    if (this.#form === "plain") this.#own.add(path);
    else if (entry.type === "directory") this.#implied.delete(path);
  }

  /** Makes what the entry says, attributes included, except for a file's contents. False where it was left out. */
  #create(entry: TarEntry, parent: Directory, name: string, path: string): boolean {
    switch (entry.type) {
      case "file":
        this.#file = this.#replacing(parent, name, path, () => openAt(parent.fd, name, createFlags, 0o600));
        return true;
      case "directory":
        this.#makeDirectory(parent, name, path);
        setAttributesAt(parent.fd, name, entry, "directory", this.#warn);
        // Put again at the end of the map, so that the last entry's times are set.
        this.#directories.delete(path);
        this.#directories.set(path, timesOf(entry));
        return true;
      case "symlink":
        this.#replacing(parent, name, path, () => symlinkAt(entry.linkName, parent.fd, name));
        setAttributesAt(parent.fd, name, entry, "symlink", this.#warn);
        return true;
      case "link":
        return this.#makeLink(entry, parent, name, path);
      case "char":
      case "block":
      case "fifo":
        return this.#makeNode(entry, parent, name, path);
      case "unknown":
        throw new Failure("InvalidArgument", `unpacking "${entry.name}": unhandled tar header type ${entry.typeFlag}`);
    }
  }

  /** Runs `make`; where the name is taken, removes what is there and runs it once more. */
  #replacing<T>(parent: Directory, name: string, path: string, make: () => T): T {
    this.#unresolved.delete(path);
    try {
      return make();
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
      this.#remove(parent, name, path);
      return make();
    }
  }

  #remove(parent: Directory, name: string, path: string): void {
    const wasDirectory = this.#tree.remove(parent, name);
    this.#whiteouts.delete(path);
    this.#opaque.delete(path);
    if (!wasDirectory) return;
    for (const names of [this.#whiteouts, this.#opaque, this.#unresolved]) {
      for (const below of names.keys()) if (below.startsWith(`${path}/`)) names.delete(below);
    }
  }

  #makeDirectory(parent: Directory, name: string, path: string): void {
    this.#unresolved.delete(path);
    try {
      makeDirectoryAt(parent.fd, name, 0o700);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
      if (isDirectory(parent, name)) return;
      this.#remove(parent, name, path);
      makeDirectoryAt(parent.fd, name, 0o700);
      // What was there hid the lower layers' directory of this name: the new one must not show its contents again.
      this.#makeOpaque(parent, name, path);
    }
  }

  /** A removed name is needed as a directory again: an empty one that shows nothing of the lower layers. */
  #replaceWhiteout(parent: Directory, name: string, path: string): boolean {
    if (!this.#whiteouts.has(path)) return false;
    unlinkAt(parent.fd, name);
    makeDirectoryAt(parent.fd, name, 0o755);
    this.#makeOpaque(parent, name, path);
    return true;
  }

  #makeOpaque(parent: Directory, name: string, path: string): void {
    if (this.#form !== "overlay") return;
    this.#whiteouts.delete(path);
    this.#opaque.add(path);
    setXattrAt(parent.fd, name, opaqueXattr, new TextEncoder().encode("y"));
  }

  #makeNode(entry: TarEntry, parent: Directory, name: string, path: string): boolean {
    if (entry.type !== "fifo" && inUserNamespace()) {
      this.#warn(`device "${entry.name}" was left out: a user namespace cannot make device nodes`);
      return false;
    }
    const type = flags(entry.type === "char" ? "S_IFCHR" : entry.type === "block" ? "S_IFBLK" : "S_IFIFO");
    try {
      this.#replacing(parent, name, path, () => makeNodeAt(parent.fd, name, type | 0o600, entry.major, entry.minor));
    } catch (error) {
      if (!isErrno(error, "EPERM")) throw error;
      const device = `${entry.type} device ${entry.major}:${entry.minor}`;
      throw new Failure(
        "PermissionDenied",
        `unpacking "${entry.name}": making ${device} needs the right to make device nodes (CAP_MKNOD): run as root, outside of a container`,
        { cause: error },
      );
    }
    setAttributesAt(parent.fd, name, entry, "special", this.#warn);
    return true;
  }

  #makeLink(entry: TarEntry, parent: Directory, name: string, path: string): boolean {
    const parts = cleanPath(entry.linkName);
    const targetName = parts.pop();
    if (targetName === undefined) {
      throw new Failure("InvalidArgument", `unpacking "${entry.name}": a hard link cannot name the root directory`);
    }
    // Replacing may close the target's directory, so it is looked up in each try.
    let target = "";
    try {
      this.#replacing(parent, name, path, () => {
        const found = this.#tree.find(parts);
        target = joinPath(found.path, targetName);
        if (target === path) throw missingTarget(entry, "it is the link itself");
        if (this.#hides(target)) throw missingTarget(entry, "the same layer removes it");
        if (found.directory === undefined) throw new TargetMissing();
        try {
          linkAt(found.directory.fd, targetName, parent.fd, name);
        } catch (error) {
          throw isErrno(error, "ENOENT") ? new TargetMissing() : error;
        }
      });
    } catch (error) {
      if (!(error instanceof TargetMissing)) throw error;
      if (this.#form === "plain") throw missingTarget(entry, "there is no such file");
      if (this.#isBelowOpaque(target)) throw missingTarget(entry, "the same layer removes it");
      const { mode, uid, gid, atime, mtime, xattrs } = entry;
      this.#unresolved.set(path, { path, target, attributes: { mode, uid, gid, atime, mtime, xattrs } });
      return true;
    }
    // The entry's attributes go to the file that both names share.
    const type = statAt(parent.fd, name).mode & typeMask;
    const holder = type === S_IFLNK ? "symlink" : type === regular ? "file" : "special";
    setAttributesAt(parent.fd, name, entry, holder, this.#warn);
    return true;
  }

  /** Whether this layer has removed the path or one of its parents. */
  #hides(path: string): boolean {
    return this.#whiteouts.size > 0 && [path, ...parentsOf(path)].some((above) => this.#whiteouts.has(above));
  }

  #isBelowOpaque(path: string): boolean {
    return this.#opaque.size > 0 && [...parentsOf(path), ""].some((above) => this.#opaque.has(above));
  }

  #whiteout(entry: TarEntry, parent: Directory, name: string): void {
    if (isOpaqueMark(name)) {
      if (this.#form === "plain") return this.#tree.clear(parent, (path) => this.#own.has(path));
      this.#opaque.add(parent.path);
      return setXattrAt(parent.fd, "", opaqueXattr, new TextEncoder().encode("y"));
    }
    const removed = whiteoutName(name, entry.name);
    const path = joinPath(parent.path, removed);
    if (this.#form === "plain") return void this.#tree.remove(parent, removed);
    if (this.#whiteouts.has(path)) return;
    try {
      makeNodeAt(parent.fd, removed, flags("S_IFCHR"), 0, 0);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
      throw new Failure(
        "AlreadyExists",
        `unpacking "${entry.name}": file exists: the layer holds "${path}" and removes it as well`,
        { cause: error },
      );
    }
    this.#account.add(path);
    this.#whiteouts.add(path);
    changeOwnerAt(parent.fd, removed, entry.uid, entry.gid);
  }
}

/** Thrown by one step of making a hard link to the other; never leaves this file. */
class TargetMissing extends Error {}

function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
    parents.push(path.slice(0, slash));
  }
  return parents;
}

function missingTarget(entry: TarEntry, why: string): Failure {
  return new Failure("NotFound", `unpacking "${entry.name}": hard link to "${entry.linkName}": ${why}`);
}

function isDirectory(parent: Directory, name: string): boolean {
  try {
    return (statAt(parent.fd, name).mode & typeMask) === S_IFDIR;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}
