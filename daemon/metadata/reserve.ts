/**
 * Room on the disk that is kept for deletions: whoever wants to make room by them needs some first, as SQLite writes to
 * its log before anything becomes free.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { constant, flags } from "../../ffi/constants.ts";
import { isErrno, SyscallError } from "../../ffi/errno.ts";
import { spaceOf } from "../../ffi/file_system.ts";
import { attempt } from "../../ffi/syscall.ts";
import { diskReason } from "./disk_failure.ts";

/** A deletion writes a dozen pages; this is for hundreds of them, should nothing become free before. */
const bytesMax = 4 << 20;
/** A small disk gives so much of itself, rounded down to whole steps. */
const shareOfDisk = 1 / 16;
/** Less is not worth a file. A step is given back at a time, as others may take it before the deletion does. */
const stepBytes = 64 << 10;
const steps = 4;

/**
 * A file of allocated blocks that nobody reads. Several processes may spend and refill it at once. Whatever the disk says
 * to it is no failure of what is being done: there is less room for deletions then.
 */
export class Reserve {
  constructor(readonly path: string) {}

  /** Gives a part back to the disk; false where nothing is left of it. */
  spend(): boolean {
    try {
      const { size } = Deno.statSync(this.path);
      if (size === 0) return false;
      const part = Math.max(stepBytes, Math.ceil(this.#wanted() / steps));
      Deno.truncateSync(this.path, Math.max(0, size - part));
      return true;
    } catch {
      return false; // An older barge made the store, or the disk fails, which whoever asks is about to say.
    }
  }

  /**
   * Brings it to its size again, as far as half of what the disk has left goes, or all of that where it is what was spent
   * just now. Says whether another try is of no use.
   */
  refill({ all = false } = {}): boolean {
    try {
      const size = this.#size();
      const missing = this.#wanted() - size;
      if (missing < stepBytes) return true;
      const { available } = spaceOf(directoryOf(this.path));
      const part = Math.min(missing, Math.floor(all ? available : available / 2));
      if (part >= stepBytes) allocate(this.path, size, part);
      return part === missing;
    } catch (error) {
      // A file system that cannot allocate; a sparse file would keep no room.
      return isErrno(error, "EOPNOTSUPP", "EINVAL", "ENOSYS");
    }
  }

  #wanted(): number {
    const share = Math.floor(spaceOf(directoryOf(this.path)).total * shareOfDisk / stepBytes) * stepBytes;
    return Math.min(bytesMax, share);
  }

  #size(): number {
    try {
      return Deno.statSync(this.path).size;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return 0;
      throw error;
    }
  }
}

/** Whether the error says that a disk is full, be it in SQLite's way; `path` lies on the one that is meant. */
export function saysFull(error: unknown, path: string): boolean {
  // What the disk says may be in a sentence already.
  if (error instanceof Failure) return error.cause !== undefined && saysFull(error.cause, path);
  if (diskReason(error) === "full") return true;
  // The index of the log has no place: SQLite does not say why.
  const isVague = error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR" &&
    /disk I\/O error|unable to open database file/.test(error.message);
  return isVague && hasNoRoom(path);
}

function hasNoRoom(path: string): boolean {
  try {
    return spaceOf(path).available < stepBytes;
  } catch {
    return false; // Then it is something else.
  }
}

function allocate(path: string, offset: number, length: number): void {
  const created = Deno.openSync(path, { write: true, create: true, mode: 0o600 });
  created.close();
  const fd = attempt("openat", constant("AT_FDCWD"), path, flags("O_WRONLY", "O_CLOEXEC"), 0);
  if (fd < 0) throw new SyscallError("openat", -fd, path);
  const result = attempt("fallocate", fd, 0, offset, length);
  attempt("close", fd);
  if (result < 0) throw new SyscallError("fallocate", -result, path);
}

/** The reserve beside a database. */
export function reserveOf(database: string): Reserve {
  return new Reserve(`${directoryOf(database)}/reserve`);
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
