/**
 * The file system by descriptor: every call names a directory descriptor and a path below it, so that nothing depends
 * on the working directory, and whoever must not follow links can see that it does not.
 *
 * Paths are strings as `path.ts` makes them, so that names which are not UTF-8 survive.
 *
 * Unless said otherwise a failing call throws {@link SyscallError} with the call's name and the path.
 *
 * @module
 */
import { hostArch } from "./arch.ts";
import { flags } from "./constants.ts";
import { numbers as aarch64 } from "./gen/syscalls_aarch64.ts";
import { numbers as x86_64 } from "./gen/syscalls_x86_64.ts";
import { checked, lastErrno, libc } from "./libc.ts";
import { errnoNumber, SyscallError } from "./errno.ts";
import { decodePath, pathArgument } from "./path.ts";

const library = libc({
  openat: { parameters: ["i32", /* dirfd */ "buffer", /* path */ "i32", /* flags */ "u32" /* mode */], result: "i32" },
  // Neither is in every C library that Deno runs on: mknodat came with glibc 2.33, openat2 with none before 2.42.
  openat2: {
    name: "syscall",
    parameters: ["i64", /* number */ "i32", /* dirfd */ "buffer", /* path */ "buffer", /* how */ "u64" /* size */],
    result: "i32",
  },
  mknodat: {
    name: "syscall",
    parameters: ["i64", /* number */ "i32", /* dirfd */ "buffer", /* path */ "u32", /* mode */ "u32" /* dev */],
    result: "i32",
  },
  close: { parameters: ["i32" /* fd */], result: "i32" },
  mkdirat: { parameters: ["i32", /* dirfd */ "buffer", /* path */ "u32" /* mode */], result: "i32" },
  linkat: {
    parameters: ["i32", /* olddirfd */ "buffer", /* oldpath */ "i32", /* newdirfd */ "buffer", /* newpath */ "i32"],
    result: "i32",
  },
  symlinkat: { parameters: ["buffer", /* target */ "i32", /* newdirfd */ "buffer" /* linkpath */], result: "i32" },
  readlinkat: { parameters: ["i32", /* dirfd */ "buffer", /* path */ "buffer", /* buf */ "u64"], result: "i32" },
  unlinkat: { parameters: ["i32", /* dirfd */ "buffer", /* path */ "i32" /* flags */], result: "i32" },
  renameat: {
    parameters: ["i32", /* olddirfd */ "buffer", /* oldpath */ "i32", /* newdirfd */ "buffer" /* newpath */],
    result: "i32",
  },
  fchownat: { parameters: ["i32", "buffer", /* path */ "u32", /* owner */ "u32", /* group */ "i32"], result: "i32" },
  fchown: { parameters: ["i32", /* fd */ "u32", /* owner */ "u32" /* group */], result: "i32" },
  fchmodat: {
    parameters: ["i32", /* dirfd */ "buffer", /* path */ "u32", /* mode */ "i32" /* flags */],
    result: "i32",
  },
  fchmod: { parameters: ["i32", /* fd */ "u32" /* mode */], result: "i32" },
  utimensat: { parameters: ["i32", /* dirfd */ "buffer", /* path */ "buffer", /* times */ "i32"], result: "i32" },
  futimens: { parameters: ["i32", /* fd */ "buffer" /* times */], result: "i32" },
  statx: {
    parameters: ["i32", /* dirfd */ "buffer", /* path */ "i32", /* flags */ "u32", /* mask */ "buffer" /* statxbuf */],
    result: "i32",
  },
  pread: { parameters: ["i32", /* fd */ "buffer", /* buf */ "u64", /* count */ "i64" /* offset */], result: "i64" },
  pwrite: { parameters: ["i32", /* fd */ "buffer", /* buf */ "u64", /* count */ "i64" /* offset */], result: "i64" },
  ftruncate: { parameters: ["i32", /* fd */ "i64" /* length */], result: "i32" },
  fallocate: { parameters: ["i32", /* fd */ "i32", /* mode */ "i64", /* offset */ "i64" /* len */], result: "i32" },
  lseek: { parameters: ["i32", /* fd */ "i64", /* offset */ "i32" /* whence */], result: "i64" },
  fsync: { parameters: ["i32" /* fd */], result: "i32" },
  syncfs: { parameters: ["i32" /* fd */], result: "i32" },
  flock: { parameters: ["i32", /* fd */ "i32" /* operation */], result: "i32" },
  // glibc has a wrapper only since 2.30.
  getdents64: { name: "syscall", parameters: ["i64", "i32", /* fd */ "buffer", /* dirp */ "u64"], result: "i32" },
});

const numbers = hostArch === "x86_64" ? x86_64 : aarch64;
const number = {
  openat2: BigInt(numbers.openat2),
  mknodat: BigInt(numbers.mknodat),
  getdents64: BigInt(numbers.getdents64),
};

/** unlinkat(2): remove a directory. */
const AT_REMOVEDIR = 0x200;
const noFollow = flags("AT_SYMLINK_NOFOLLOW");
const closeOnExec = flags("O_CLOEXEC");

/** File type bits of `st_mode` that `constants.ts` does not have. */
export const S_IFDIR = 0o040000;
/** File type bits of a symbolic link. */
export const S_IFLNK = 0o120000;
/** lseek(2): next byte that is not in a hole. */
const SEEK_DATA = 3;
/** lseek(2): next hole, where the file's end counts as one. */
const SEEK_HOLE = 4;

/** openat(2); `O_CLOEXEC` is always set. */
export function openAt(dir: number, path: string, openFlags: number, mode = 0): number {
  return checked(library().openat(dir, pathArgument(path), openFlags | closeOnExec, mode), "openat", path);
}

/**
 * openat2(2) below `dir`: no component, the last included, may be a symbolic link, and nothing leads outside.
 * A link on the way is `ELOOP`, an attempt to leave `EXDEV`. An empty path opens the directory itself anew.
 */
export function openBeneath(dir: number, path: string, openFlags: number, mode = 0): number {
  const resolve = flags("RESOLVE_BENEATH", "RESOLVE_NO_SYMLINKS", "RESOLVE_NO_MAGICLINKS");
  const how = BigUint64Array.of(BigInt(openFlags | closeOnExec), BigInt(mode), BigInt(resolve));
  const fd = library().openat2(number.openat2, dir, pathArgument(path === "" ? "." : path), how, 24n);
  return checked(fd, "openat2", path);
}

/** close(2). Errors are ignored: nothing that we write depends on what NFS would tell here. */
export function closeFile(fd: number): void {
  library().close(fd);
}

/** mkdirat(2). The umask applies. */
export function makeDirectoryAt(dir: number, path: string, mode: number): void {
  checked(library().mkdirat(dir, pathArgument(path), mode), "mkdirat", path);
}

/** mknodat(2): `mode` holds the type (`S_IFCHR`, `S_IFBLK`, `S_IFIFO`, `S_IFREG`); the umask applies. */
export function makeNodeAt(dir: number, path: string, mode: number, major = 0, minor = 0): void {
  // The kernel's 32-bit dev_t (new_encode_dev): minor 0–7, major 8–19, minor 20–31.
  const device = ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
  checked(library().mknodat(number.mknodat, dir, pathArgument(path), mode, device), "mknodat", path);
}

/** linkat(2); a symbolic link as target is linked itself. */
export function linkAt(oldDir: number, oldPath: string, newDir: number, newPath: string): void {
  checked(library().linkat(oldDir, pathArgument(oldPath), newDir, pathArgument(newPath, 1), 0), "linkat", newPath);
}

/** symlinkat(2). */
export function symlinkAt(target: string, dir: number, path: string): void {
  checked(library().symlinkat(pathArgument(target), dir, pathArgument(path, 1)), "symlinkat", path);
}

const linkBuffer = new Uint8Array(4096);

/** Text of a symbolic link, or undefined where the path is something else. */
export function readLinkAt(dir: number, path: string): string | undefined {
  const length = library().readlinkat(dir, pathArgument(path), linkBuffer, BigInt(linkBuffer.length));
  if (length === -1 && lastErrno() === errnoNumber("EINVAL")) return undefined;
  return decodePath(linkBuffer.subarray(0, checked(length, "readlinkat", path)));
}

/** unlinkat(2) of something that is not a directory. */
export function unlinkAt(dir: number, path: string): void {
  checked(library().unlinkat(dir, pathArgument(path), 0), "unlinkat", path);
}

/** unlinkat(2) of an empty directory. */
export function removeDirectoryAt(dir: number, path: string): void {
  checked(library().unlinkat(dir, pathArgument(path), AT_REMOVEDIR), "unlinkat", path);
}

/** renameat(2). */
export function renameAt(oldDir: number, oldPath: string, newDir: number, newPath: string): void {
  checked(library().renameat(oldDir, pathArgument(oldPath), newDir, pathArgument(newPath, 1)), "renameat", newPath);
}

/** fchownat(2) without following a link. Clears set-user-ID bits and file capabilities. */
export function changeOwnerAt(dir: number, path: string, uid: number, gid: number): void {
  checked(library().fchownat(dir, pathArgument(path), uid, gid, noFollow), "fchownat", path);
}

/** fchown(2). Clears set-user-ID bits and file capabilities. */
export function changeOwner(fd: number, uid: number, gid: number): void {
  checked(library().fchown(fd, uid, gid), "fchown");
}

/** fchmodat(2). Follows a symbolic link, which Linux gives no mode of its own: the caller knows that it is none. */
export function changeModeAt(dir: number, path: string, mode: number): void {
  checked(library().fchmodat(dir, pathArgument(path), mode, 0), "fchmodat", path);
}

/** fchmod(2). */
export function changeMode(fd: number, mode: number): void {
  checked(library().fchmod(fd, mode), "fchmod");
}

/** A point in time: whole seconds since 1970 and nanoseconds (0–999,999,999) after them. */
export interface FileTime {
  readonly seconds: number;
  readonly nanos: number;
}

const timesArgument = new BigInt64Array(4);

function packTimes(atime: FileTime, mtime: FileTime): BigInt64Array<ArrayBuffer> {
  timesArgument[0] = BigInt(atime.seconds);
  timesArgument[1] = BigInt(atime.nanos);
  timesArgument[2] = BigInt(mtime.seconds);
  timesArgument[3] = BigInt(mtime.nanos);
  return timesArgument;
}

/** utimensat(2) without following a link. */
export function setTimesAt(dir: number, path: string, atime: FileTime, mtime: FileTime): void {
  checked(library().utimensat(dir, pathArgument(path), packTimes(atime, mtime), noFollow), "utimensat", path);
}

/** futimens(3). */
export function setTimes(fd: number, atime: FileTime, mtime: FileTime): void {
  checked(library().futimens(fd, packTimes(atime, mtime)), "futimens");
}

/** What statx(2) tells about a file. `mode` includes the type bits. */
export interface FileStatus {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly inode: bigint;
  /** Bytes. */
  readonly size: number;
  /** Units of 512 bytes. */
  readonly blocks: number;
  readonly atime: FileTime;
  readonly mtime: FileTime;
  /** Device number of a device node. */
  readonly major: number;
  readonly minor: number;
  /** Device that holds the file. */
  readonly device: { readonly major: number; readonly minor: number };
}

const STATX_BASIC_STATS = 0x7ff;
const statBytes = new ArrayBuffer(256);
const statView = new DataView(statBytes);
const statArgument = new Uint8Array(statBytes);

function statTime(offset: number): FileTime {
  return { seconds: Number(statView.getBigInt64(offset, true)), nanos: statView.getUint32(offset + 8, true) };
}

/** statx(2) without following a link; an empty path asks about `dir` itself, which may be a file's descriptor. */
export function statAt(dir: number, path: string): FileStatus {
  const how = noFollow | flags("AT_EMPTY_PATH");
  checked(library().statx(dir, pathArgument(path), how, STATX_BASIC_STATS, statArgument), "statx", path);
  return {
    links: statView.getUint32(16, true),
    uid: statView.getUint32(20, true),
    gid: statView.getUint32(24, true),
    mode: statView.getUint16(28, true),
    inode: statView.getBigUint64(32, true),
    size: Number(statView.getBigUint64(40, true)),
    blocks: Number(statView.getBigUint64(48, true)),
    atime: statTime(64),
    mtime: statTime(112),
    major: statView.getUint32(128, true),
    minor: statView.getUint32(132, true),
    device: { major: statView.getUint32(136, true), minor: statView.getUint32(140, true) },
  };
}

/** Like {@link statAt}, but undefined where there is no such name. Other errors, `ENOTDIR` too, are thrown. */
export function statAtIfThere(dir: number, path: string): FileStatus | undefined {
  try {
    return statAt(dir, path);
  } catch (error) {
    if (error instanceof SyscallError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Reads at an offset; fewer bytes than asked for mean the end of the file. */
export function readAt(fd: number, buffer: Uint8Array<ArrayBuffer>, offset: number): number {
  let done = 0;
  while (done < buffer.length) {
    const rest = buffer.subarray(done);
    const taken = library().pread(fd, rest, BigInt(rest.length), BigInt(offset + done));
    if (taken === -1n && lastErrno() === errnoNumber("EINTR")) continue;
    checked(Number(taken), "pread");
    if (taken === 0n) break;
    done += Number(taken);
  }
  return done;
}

/** Writes all bytes at an offset. */
export function writeAt(fd: number, bytes: Uint8Array, offset: number): void {
  // FFI takes memory that is not shared; ours never is.
  let rest = bytes as Uint8Array<ArrayBuffer>;
  let at = offset;
  while (rest.length > 0) {
    const taken = library().pwrite(fd, rest, BigInt(rest.length), BigInt(at));
    if (taken === -1n && lastErrno() === errnoNumber("EINTR")) continue;
    checked(Number(taken), "pwrite");
    at += Number(taken);
    rest = rest.subarray(Number(taken));
  }
}

/** ftruncate(2). */
export function truncateFile(fd: number, size: number): void {
  checked(library().ftruncate(fd, BigInt(size)), "ftruncate");
}

/** fallocate(2) of a range; false where the file system cannot. */
export function allocate(fd: number, offset: number, length: number): boolean {
  const result = library().fallocate(fd, 0, BigInt(offset), BigInt(length));
  if (result === -1 && lastErrno() === errnoNumber("EOPNOTSUPP")) return false;
  checked(result, "fallocate");
  return true;
}

/** The next range of the file, from `offset` on, that is not a hole; undefined where only a hole is left. */
export function nextData(fd: number, offset: number): { start: number; end: number } | undefined {
  const start = library().lseek(fd, BigInt(offset), SEEK_DATA);
  if (start === -1n) {
    if (lastErrno() === errnoNumber("ENXIO")) return undefined;
    checked(-1, "lseek");
  }
  const end = library().lseek(fd, start, SEEK_HOLE);
  checked(Number(end), "lseek");
  return { start: Number(start), end: Number(end) };
}

/** fsync(2). */
export function syncFile(fd: number): void {
  checked(library().fsync(fd), "fsync");
}

/** syncfs(2): the whole file system of the descriptor. */
export function syncFileSystem(fd: number): void {
  checked(library().syncfs(fd), "syncfs");
}

/** flock(2) without waiting: whether the lock is ours now. `LOCK_UN` always succeeds. */
export function tryLock(fd: number, operation: "LOCK_SH" | "LOCK_EX" | "LOCK_UN"): boolean {
  const result = library().flock(fd, flags(operation, "LOCK_NB"));
  if (result === -1 && lastErrno() === errnoNumber("EAGAIN")) return false;
  checked(result, "flock");
  return true;
}

/** Names in an open directory, without `.` and `..`, in the file system's order. Reads from the current position on. */
export function listDirectory(fd: number): string[] {
  const names: string[] = [];
  const buffer = new Uint8Array(32768);
  const view = new DataView(buffer.buffer);
  for (;;) {
    const length = checked(
      library().getdents64(number.getdents64, fd, buffer, BigInt(buffer.length)),
      "getdents64",
    );
    if (length === 0) return names;
    // struct linux_dirent64: d_ino u64, d_off s64, d_reclen u16 at 16, d_type u8 at 18, d_name at 19.
    for (let at = 0; at < length; at += view.getUint16(at + 16, true)) {
      const name = buffer.subarray(at + 19, buffer.indexOf(0, at + 19));
      const text = decodePath(name);
      if (text !== "." && text !== "..") names.push(text);
    }
  }
}
