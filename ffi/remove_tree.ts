/**
 * Removing a tree that somebody else has made: of any depth, with names of any bytes, and without leaving it.
 *
 * Everything is reached by descriptors, one name at a time. A few directories are open at once; what lies deeper is moved
 * to the tree's top first, so that neither memory, descriptors nor a stack grow with the depth. No link is followed and no
 * mount is entered.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { EntryBatch, type EntryType, openChildDirectory, pathOf } from "./directory_entries.ts";
import { type Errno, errnoNumber, SyscallError } from "./errno.ts";
import { libc } from "./libc.ts";
import { decodePath, encodePath, pathArgument } from "./path.ts";
import { attempt } from "./syscall.ts";

/** Directories of one way down that are open at once. Trees that people make are rarely deeper. */
const openMax = 32;

/** What cannot be removed is passed over, up to this many: more of the same would only take time. */
const failuresMax = 100;

/** Passes that remove something and come to no end: somebody adds entries meanwhile. */
const passesMax = 100;

const removeDirectory = flags("AT_REMOVEDIR");

// linux/fs.h, the same on x86_64 and aarch64.
const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
const FS_IMMUTABLE_FL = 0x10;
const FS_APPEND_FL = 0x20;

/** Something is mounted inside a tree that was to be removed, or the tree itself is a mount point. */
export class MountInTheWay extends SyscallError {
  /** `mountPoint` is what the user can unmount. */
  constructor(readonly mountPoint: string) {
    super("unlinkat", errnoNumber("EBUSY"), mountPoint);
    this.message = `"${mountPoint}" is a mount point: unmount it first`;
  }
}

/** Options of {@link removalSteps}. */
export interface RemovalOptions {
  /** Whether files are measured before they go, so that a caller can stop before a large one. Default: no. */
  readonly measured?: boolean;
}

/**
 * Removes a file or a tree step by step: a step is some hundred removals, or one that yields the bytes which it will free
 * where they are measured. A generator that is left early has removed a part and holds nothing; a later one goes on there. What is not
 * there is removed. Throws the first {@link SyscallError} after everything else was removed, {@link MountInTheWay}.
 */
export function* removalSteps(path: string, { measured = false }: RemovalOptions = {}): Generator<number> {
  const [, above = "", name = ""] = /^(.*?\/?)([^/]+)\/*$/s.exec(path) ?? [];
  if (name === "" || name === "." || name === "..") throw new TypeError(`"${path}" names no file in a directory`);
  const how = flags("O_PATH", "O_DIRECTORY", "O_CLOEXEC");
  const parent = attempt("openat", flags("AT_FDCWD"), pathArgument(above === "" ? "." : above), how);
  if (is(parent, "ENOENT")) return;
  if (parent < 0) throw new SyscallError("openat", -parent, above);
  try {
    yield* new Removal(parent, terminated(name), measured).steps();
  } finally {
    attempt("close", parent);
  }
}

/** As {@link removalSteps}, of a name in an open directory, which stays the caller's. */
export function removalStepsAt(parent: number, name: string): Generator<number> {
  return new Removal(parent, terminated(name), false).steps();
}

/** Removes a file or a tree, see {@link removalSteps}. For what is known to be small: the whole thread waits. */
export function removeTreeSync(path: string): void {
  for (const _ of removalSteps(path)) {
    // Each step is a removal.
  }
}

/** A name with the NUL that ends it. */
type Name = Uint8Array<ArrayBuffer>;

/** An open directory on the way down. */
interface Level {
  readonly name: Name;
  readonly fd: number;
  /** Directories in it that were read and not entered yet. */
  readonly directories: Name[];
}

/** One removal; names are in directories that are held open. */
class Removal {
  readonly #batch = new EntryBatch();
  #removed = 0;
  /** What was moved to the top, and what somebody else took away: others may remove or move at the same time. */
  #moved = 0;
  #failures: SyscallError[] = [];

  constructor(readonly parent: number, readonly name: Name, readonly measured: boolean) {}

  *steps(): Generator<number> {
    const { parent, name } = this;
    for (let passes = 1;; passes++) {
      this.#failures = [];
      const removed = this.#removed;
      const moved = this.#moved;
      const top = openChildDirectory(parent, name);
      if (is(top, "ENOENT")) return;
      if (is(top, "ENOTDIR", "ELOOP")) {
        if (this.measured) yield this.#size(name, parent, undefined);
        this.#unlink(parent, name, 0, undefined, parent);
        return this.#throwFirst();
      }
      if (top < 0) throw failureOf("openat2", top, parent, name);
      yield* this.#pass(top);
      const result = tryUnlink(parent, name, removeDirectory, "directory", parent);
      if (result === 0 || is(result, "ENOENT")) return;
      if (!is(result, "ENOTEMPTY", "EEXIST")) throw failureOf("unlinkat", result, parent, name);
      if (this.#moved > moved) passes = 0;
      if ((this.#removed === removed && this.#moved === moved) || passes >= passesMax) {
        this.#throwFirst();
        throw failureOf("unlinkat", result, parent, name);
      }
    }
  }

  #throwFirst(): void {
    const [first] = this.#failures;
    if (first !== undefined) throw first;
  }

  /** Once through the tree. What is deeper than the open directories comes to the top, for this pass or the next one. */
  *#pass(top: number): Generator<number> {
    const levels: Level[] = [{ name: this.name, fd: top, directories: [] }];
    try {
      for (let level; (level = levels.at(-1)) !== undefined;) {
        const { fd, directories } = level;
        const directory = directories.pop();
        if (directory !== undefined) {
          this.#enter(levels, directory);
          yield 0;
        } else if (this.#batch.fill(fd)) yield* this.#files(level);
        else {
          attempt("close", fd);
          levels.pop();
          const above = levels.at(-1);
          if (above !== undefined) this.#unlink(above.fd, level.name, removeDirectory, "directory");
        }
        if (this.#failures.length >= failuresMax) this.#throwFirst();
      }
    } finally {
      for (const { fd } of levels) attempt("close", fd);
    }
  }

  /** Removes the files of the batch, and notes the directories: the batch is filled anew before they are entered. */
  *#files({ fd, directories }: Level): Generator<number> {
    for (const { name, type } of this.#batch.entries()) {
      if (isDirectory(fd, name, type)) directories.push(name.slice());
      else {
        if (this.measured) yield this.#size(name, fd, type);
        this.#unlink(fd, name, 0, type);
      }
    }
    yield 0;
  }

  #enter(levels: Level[], name: Name): void {
    const { fd } = levels.at(-1)!;
    if (levels.length >= openMax) return this.#moveUp(fd, name, levels[0]!.fd);
    const child = openChildDirectory(fd, name);
    if (child >= 0) levels.push({ name, fd: child, directories: [] });
    else if (is(child, "ENOTDIR", "ELOOP")) this.#unlink(fd, name, 0, undefined);
    else if (is(child, "ENOENT")) this.#moved++;
    else this.#failures.push(failureOf("openat2", child, fd, name));
  }

  #moveUp(fd: number, name: Name, top: number): void {
    const to = crypto.randomUUID();
    const move = () => attempt("renameat", fd, name, top, to);
    let result = move();
    if (is(result, "EPERM", "EACCES") && clearFlags(fd, name, "directory")) result = move();
    if (result === 0 || is(result, "ENOENT")) this.#moved++;
    else this.#failures.push(failureOf("renameat", result, fd, name));
  }

  #unlink(fd: number, name: Name, how: number, type: EntryType, kept?: number): void {
    const result = tryUnlink(fd, name, how, type, kept);
    if (result === 0) this.#removed++;
    else if (is(result, "ENOENT")) this.#moved++;
    // What is left in a directory has its own failure, or is for the next pass.
    else if (!is(result, "ENOTEMPTY", "EEXIST")) {
      this.#failures.push(failureOf("unlinkat", result, fd, name));
    }
  }

  #size(name: Name, fd: number, type: EntryType): number {
    return type !== "other" ? statusOf(fd, name)?.bytes ?? 0 : 0;
  }
}

function terminated(name: string): Name {
  const bytes = encodePath(name);
  const whole = new Uint8Array(bytes.length + 1);
  whole.set(bytes);
  return whole;
}

function isDirectory(fd: number, name: Name, type: EntryType): boolean {
  if (type !== undefined) return type === "directory";
  const status = statusOf(fd, name);
  return status !== undefined && (status.mode & flags("S_IFMT")) === flags("S_IFDIR");
}

function failureOf(call: string, result: number, fd: number, name: Name): SyscallError {
  const path = pathOf(fd, decodePath(name.subarray(0, -1)));
  return is(result, "EXDEV", "EBUSY") ? new MountInTheWay(path) : new SyscallError(call, -result, path);
}

/** A symbol of its own takes a third of the time of a call by number; opening it as long as a hundred of those. */
const library = libc({
  unlinkat: { parameters: ["i32", /* dirfd */ "buffer", /* path */ "i32" /* flags */], result: "i32" },
});
const slowCallsMax = 100;
let slowCalls = 0;

/** The answer of unlinkat(2), a second one without the flags that forbid it; those of `kept` stay. */
function tryUnlink(fd: number, name: Name, how: number, type: EntryType, kept?: number): number {
  if (slowCalls >= slowCallsMax && library().unlinkat(fd, name, how) === 0) return 0;
  slowCalls++;
  const result = attempt("unlinkat", fd, name, how);
  if (!is(result, "EPERM") || !clearFlags(fd, name, type, kept)) return result;
  return attempt("unlinkat", fd, name, how);
}

function is(result: number, ...names: Errno[]): boolean {
  return result < 0 && names.some((name) => result === -errnoNumber(name));
}

const statBytes = new Uint8Array(256);
const statView = new DataView(statBytes.buffer);

/** Type and allocated bytes of a name, by statx(2); undefined where it is gone. */
function statusOf(fd: number, name: Name): { mode: number; bytes: number } | undefined {
  const STATX_TYPE = 0x1, STATX_BLOCKS = 0x400;
  const how = flags("AT_SYMLINK_NOFOLLOW");
  if (attempt("statx", fd, name, how, STATX_TYPE | STATX_BLOCKS, statBytes) < 0) return undefined;
  return { mode: statView.getUint16(28, true), bytes: Number(statView.getBigUint64(48, true)) * 512 };
}

/**
 * Takes from a name and its directory what forbids their removal; says whether that may have helped. Only files and
 * directories can have such flags, and nothing else is opened: a device may act on it.
 */
function clearFlags(fd: number, name: Name, type: EntryType, kept?: number): boolean {
  let cleared = fd !== kept && clearFlagsOf(fd);
  const mode = type === undefined ? statusOf(fd, name)?.mode ?? 0 : 0;
  const isPlain = type === "file" || type === "directory" ||
    [flags("S_IFDIR"), flags("S_IFREG")].includes(mode & flags("S_IFMT"));
  if (!isPlain) return cleared;
  const how = flags("O_RDONLY", "O_NONBLOCK", "O_NOFOLLOW", "O_NOCTTY", "O_CLOEXEC");
  const file = attempt("openat", fd, name, how);
  if (file < 0) return cleared;
  cleared = clearFlagsOf(file) || cleared;
  attempt("close", file);
  return cleared;
}

function clearFlagsOf(file: number): boolean {
  // The kernel reads and writes an int here, whatever the request's number says.
  const value = new Int32Array(2);
  if (attempt("ioctl", file, FS_IOC_GETFLAGS, value) < 0) return false;
  const cleared = value[0]! & ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
  if (cleared === value[0]) return false;
  value[0] = cleared;
  return attempt("ioctl", file, FS_IOC_SETFLAGS, value) === 0;
}
