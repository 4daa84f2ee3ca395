/**
 * The directory that a layer is applied into, reached only by descriptors.
 *
 * Every directory is opened by openat2(2) with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS` under its real path, so no
 * archive can make a call act outside. Links in parent paths are followed here, in text, clamped at the target: `..`
 * at the top stays at the top, and an absolute link begins at the target.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { isErrno } from "../../ffi/errno.ts";
import {
  changeModeAt,
  closeFile,
  listDirectory,
  makeDirectoryAt,
  openBeneath,
  readLinkAt,
  unlinkAt,
} from "../../ffi/files.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { removalStepsAt } from "../../ffi/remove_tree.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";

/** A directory below the target. */
export interface Directory {
  /** An `O_PATH` descriptor, lent until the next {@link TargetTree.trim}. */
  readonly fd: number;
  /** Path from the target without links, "" for the target itself. */
  readonly path: string;
}

/** What the owner of a tree is told about parents that an entry needs and the tree does not have. */
export interface ParentEvents {
  /** A directory was made because an entry lies below it. */
  implied(path: string): void;
  /**
   * Something that is no directory is where one is needed. `true`: the owner has put a directory there; `false`: it
   * cannot, and the entry fails.
   */
  obstructed(parent: Directory, name: string, path: string): boolean;
}

/**
 * Directories kept open: tar archives go depth first, so few are in use at once, and 2 × 256 (two layers at once) stay
 * far below the usual limit of 1,024 descriptors.
 */
const openDirectoriesMax = 256;

/** As many links in one path are followed as containerd follows. */
const linksMax = 255;

const directoryFlags = flags("O_PATH", "O_DIRECTORY");

/** The path's components, without `.` and with each `..` taken back; leading ones are dropped. */
export function cleanPath(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}

/** Path of a name in a directory. */
export function joinPath(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** See the module's comment. */
export class TargetTree implements Disposable {
  readonly #root: Descriptor;
  readonly #events: ParentEvents;
  /** By real path; the order of the map is the order of opening. */
  readonly #open = new Map<string, Directory>();
  /** Paths as archives write them, when they lead over links, by real path. */
  readonly #resolved = new Map<string, string>();

  /** Opens `dir`; throws {@link SyscallError} where it is no directory. */
  constructor(dir: string, events: ParentEvents) {
    this.#root = openFile(dir, directoryFlags);
    this.#events = events;
  }

  /** The target itself. */
  get root(): Directory {
    return { fd: this.#root.number, path: "" };
  }

  /** Closes the directories that were not opened lately. Lent descriptors end here: to be called between entries. */
  trim(): void {
    if (this.#open.size <= openDirectoriesMax) return;
    let surplus = this.#open.size - openDirectoriesMax / 2;
    for (const [path, { fd }] of this.#open) {
      if (surplus-- <= 0) break;
      closeFile(fd);
      this.#open.delete(path);
    }
  }

  /** Forgets what is known about paths, as when a directory or link goes; only `keep` stays open. */
  forget(keep?: Directory): void {
    for (const [path, directory] of this.#open) {
      if (directory === keep) continue;
      closeFile(directory.fd);
      this.#open.delete(path);
    }
    this.#resolved.clear();
  }

  /**
   * The directory at a cleaned path, following links inside the target; missing ones are made with mode 0755.
   * Throws `InvalidArgument` where something else is in the way, or for a loop of links.
   */
  make(parts: readonly string[]): Directory {
    const path = parts.join("/");
    const known = this.#open.get(this.#resolved.get(path) ?? path);
    if (known !== undefined) return known;
    const there = this.#tryOpen(path);
    if (there !== undefined) return there;
    const real = this.#resolve(parts);
    let directory = this.root;
    for (const name of real) directory = this.#child(directory, name);
    if (directory.path !== path) this.#resolved.set(path, directory.path);
    return directory;
  }

  /** Like {@link make}, but makes nothing: undefined where the directory is missing or something else is there. */
  find(parts: readonly string[]): { directory: Directory | undefined; path: string } {
    const path = parts.join("/");
    const there = this.#open.get(path) ?? this.#tryOpen(path);
    if (there !== undefined) return { directory: there, path };
    const real = this.#resolve(parts).join("/");
    return { directory: this.#open.get(real) ?? this.#tryOpen(real), path: real };
  }

  #tryOpen(path: string): Directory | undefined {
    if (path === "") return this.root;
    try {
      return this.#remember(openBeneath(this.#root.number, path, directoryFlags), path);
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
      throw error;
    }
  }

  #remember(fd: number, path: string): Directory {
    const directory = { fd, path };
    this.#open.set(path, directory);
    return directory;
  }

  /** The child directory, made when it is missing. */
  #child(parent: Directory, name: string): Directory {
    const path = joinPath(parent.path, name);
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    try {
      return this.#remember(openBeneath(parent.fd, name, directoryFlags), path);
    } catch (error) {
      if (isErrno(error, "ENOTDIR", "ELOOP")) {
        if (!this.#events.obstructed(parent, name, path)) {
          throw new Failure("InvalidArgument", `unpacking below "${path}": it is not a directory`, { cause: error });
        }
      } else if (isErrno(error, "ENOENT")) {
        makeDirectoryAt(parent.fd, name, 0o755);
        // The umask has taken its bits.
        changeModeAt(parent.fd, name, 0o755);
        this.#events.implied(path);
      } else {
        throw error;
      }
    }
    return this.#remember(openBeneath(parent.fd, name, directoryFlags), path);
  }

  /** Follows links in all components. What does not exist is taken as it is written. */
  #resolve(parts: readonly string[]): string[] {
    const real: string[] = [];
    let rest = [...parts];
    let links = 0;
    while (rest.length > 0) {
      const part = rest.shift()!;
      if (part === "" || part === ".") continue;
      if (part === "..") {
        real.pop();
        continue;
      }
      const target = this.#linkTarget(real, part);
      if (target === undefined) {
        real.push(part);
        continue;
      }
      if (++links > linksMax) {
        throw new Failure(
          "InvalidArgument",
          `unpacking below "${parts.join("/")}": too many symbolic links in the path`,
        );
      }
      if (target.startsWith("/")) real.length = 0;
      rest = [...target.split("/"), ...rest];
    }
    return real;
  }

  #linkTarget(directory: readonly string[], name: string): string | undefined {
    const path = directory.join("/");
    const parent = this.#open.get(path) ?? this.#tryOpen(path);
    if (parent === undefined) return undefined;
    try {
      return readLinkAt(parent.fd, name);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  /**
   * Removes the name with everything below it; a missing one is fine. Tells whether it was a directory; then
   * every lent directory but `kept` is closed.
   */
  remove(parent: Directory, name: string, kept = parent): boolean {
    try {
      unlinkAt(parent.fd, name);
      this.#resolved.clear();
      return false;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return false;
      // Linux says EISDIR, POSIX and some file systems EPERM.
      if (!isErrno(error, "EISDIR", "EPERM")) throw error;
      this.forget(kept);
      for (const _ of removalStepsAt(parent.fd, name)) {
        // On a thread of its own.
      }
      return true;
    }
  }

  /** Removes what is below the directory, except paths for which `keeps` is true; those are descended into. */
  clear(directory: Directory, keeps: (path: string) => boolean): void {
    // Paths, as what is kept has the length of a path, and directories in each other would be open all at once.
    const pending = [directory.path];
    for (let path; (path = pending.pop()) !== undefined;) {
      let fd: number;
      try {
        fd = openBeneath(this.#root.number, path, flags("O_RDONLY", "O_DIRECTORY"));
      } catch (error) {
        if (path !== directory.path && isErrno(error, "ENOTDIR", "ELOOP")) continue;
        throw error;
      }
      try {
        for (const name of listDirectory(fd)) {
          const below = joinPath(path, name);
          if (keeps(below)) pending.push(below);
          else this.remove({ fd, path }, name, directory);
        }
      } finally {
        closeFile(fd);
      }
    }
  }

  [Symbol.dispose](): void {
    this.forget();
    this.#root.close();
  }
}
