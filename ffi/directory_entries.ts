/**
 * The entries of an open directory, a bounded number of them at a time.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { errnoNumber, SyscallError } from "./errno.ts";
import { decodePath } from "./path.ts";
import { attempt } from "./syscall.ts";

/** What an entry is; undefined where the file system does not tell without a look at the file itself. */
export type EntryType = "directory" | "file" | "other" | undefined;

/** One entry as the kernel gives it. */
export interface RawEntry {
  /** The name with the NUL that ends it, in memory of the batch: until that is filled anew. */
  readonly name: Uint8Array<ArrayBuffer>;
  readonly type: EntryType;
  /** Which one of the batch it is, for {@link EntryBatch.cookie}. */
  readonly at: number;
}

/** One name in a directory. */
export interface DirectoryEntry {
  readonly name: string;
  readonly type: EntryType;
  /** Where the directory goes on after this entry, for {@link DirectoryReader.seek}. */
  readonly cookie: bigint;
}

/** One getdents64(2) fills it: some hundred entries, up to 1,300 with the shortest names. */
const batchBytes = 32 << 10;

const dot = 0x2e;

/** What one getdents64(2) gives. */
export class EntryBatch {
  readonly #bytes = new Uint8Array(batchBytes);
  readonly #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Reads what the directory has next; false at its end, also where it was removed. Throws {@link SyscallError}. */
  fill(fd: number): boolean {
    const length = attempt("getdents64", fd, this.#bytes, batchBytes);
    if (length < 0 && length !== -errnoNumber("ENOENT")) throw new SyscallError("getdents64", -length, pathOf(fd));
    this.#length = Math.max(0, length);
    return length > 0;
  }

  /** The entries without `.` and `..`. */
  *entries(): Generator<RawEntry> {
    const bytes = this.#bytes;
    // struct linux_dirent64: d_ino u64, d_off s64, d_reclen u16 at 16, d_type u8 at 18, d_name at 19.
    for (let at = 0, next; at < this.#length; at = next) {
      next = at + this.#view.getUint16(at + 16, true);
      const start = at + 19;
      const end = bytes.indexOf(0, start);
      if (bytes[start] === dot && (end === start + 1 || (end === start + 2 && bytes[start + 1] === dot))) continue;
      yield { name: bytes.subarray(start, end + 1), type: typeOf(bytes[at + 18]!), at };
    }
  }

  /** Where the directory goes on after an entry, for lseek(2). */
  cookie(at: number): bigint {
    return this.#view.getBigInt64(at + 8, true);
  }
}

/** By `d_type` of dirent.h. */
function typeOf(type: number): EntryType {
  return type === 8 ? "file" : type === 4 ? "directory" : type === 0 ? undefined : "other";
}

const shared = new EntryBatch();

/** Reads an open directory in the file system's order, without `.` and `..`. The descriptor is the caller's. */
export class DirectoryReader {
  #entries: DirectoryEntry[] = [];
  #next = 0;

  constructor(readonly fd: number) {}

  /** The next entry; undefined at the end, also of a directory that was removed. Throws {@link SyscallError}. */
  next(): DirectoryEntry | undefined {
    if (this.#next === this.#entries.length) {
      this.#next = 0;
      this.#entries = [];
      while (this.#entries.length === 0 && shared.fill(this.fd)) {
        this.#entries = Array.from(
          shared.entries(),
          ({ name, type, at }) => ({ name: decodePath(name.subarray(0, -1)), type, cookie: shared.cookie(at) }),
        );
      }
    }
    return this.#entries[this.#next++];
  }

  /** Goes on where an entry of this directory said. Throws {@link SyscallError}. */
  seek(cookie: bigint): void {
    this.#entries = [];
    this.#next = 0;
    const result = attempt("lseek", this.fd, cookie, 0);
    // Positions of some file systems have all 64 bits: only what can be an errno is one.
    if (result < 0 && result >= -4095) throw new SyscallError("lseek", -result, pathOf(this.fd));
  }
}

/** Opens a directory by openat2(2): in `parent` itself, no link, and not through a mount. Gives the negative errno. */
export function openChildDirectory(parent: number, name: Uint8Array<ArrayBuffer>): number {
  const how = flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC");
  const resolve = flags("RESOLVE_BENEATH", "RESOLVE_NO_SYMLINKS", "RESOLVE_NO_MAGICLINKS", "RESOLVE_NO_XDEV");
  return attempt("openat2", parent, name, BigUint64Array.of(BigInt(how), 0n, BigInt(resolve)), 24);
}

/** The path of an open file for a message, or of a name in it; what is too deep for the kernel to say has only the name. */
export function pathOf(fd: number, name = ""): string {
  let path: string;
  try {
    path = Deno.readLinkSync(`/proc/self/fd/${fd}`);
  } catch {
    path = "…";
  }
  return name === "" ? path : `${path}/${name}`;
}
