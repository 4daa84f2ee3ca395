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
import { libc } from "./libc.ts";
import { isErrno, SyscallError } from "./errno.ts";
import { decodePath, pathArgument } from "./path.ts";
import { attempt, call, type CallArg, type CallName } from "./syscall.ts";

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

const removeDirectory = flags("AT_REMOVEDIR");
const noFollow = flags("AT_SYMLINK_NOFOLLOW");
const closeOnExec = flags("O_CLOEXEC");

/** File type bits of `st_mode`: a directory. */
export const S_IFDIR = flags("S_IFDIR");
/** File type bits of `st_mode`: a symbolic link. */
export const S_IFLNK = flags("S_IFLNK");
/** lseek(2): next byte that is not in a hole. */
const SEEK_DATA = 3;
/** lseek(2): next hole, where the file's end counts as one. */
const SEEK_HOLE = 4;

/** A call that failed, once more: for what it was that failed, see {@link attempt}. Throws {@link SyscallError} with it. */
function again(name: CallName, path: string, ...args: readonly CallArg[]): number {
  const result = attempt(name, ...args);
  if (result < 0) throw new SyscallError(name, -result, path);
  return result;
}

/** openat(2); `O_CLOEXEC` is always set. */
export function openAt(dir: number, path: string, openFlags: number, mode = 0): number {
  const fd = library().openat(dir, pathArgument(path), openFlags | closeOnExec, mode);
  return fd !== -1 ? fd : again("openat", path, dir, pathArgument(path), openFlags | closeOnExec, mode);
}

const beneath = flags("RESOLVE_BENEATH", "RESOLVE_NO_SYMLINKS", "RESOLVE_NO_MAGICLINKS");
const beneathHere = beneath | flags("RESOLVE_NO_XDEV");

/**
 * openat2(2) below `dir`: no component, the last included, may be a symbolic link, and nothing leads outside, nor, with
 * `sameMount`, into a mount. A link on the way is `ELOOP`, an attempt to leave `EXDEV`. An empty path opens the directory
 * itself anew.
 */
export function openBeneath(dir: number, path: string, openFlags: number, mode = 0, sameMount = false): number {
  const resolve = sameMount ? beneathHere : beneath;
  const how = BigUint64Array.of(BigInt(openFlags | closeOnExec), BigInt(mode), BigInt(resolve));
  const name = path === "" ? "." : path;
  const fd = library().openat2(number.openat2, dir, pathArgument(name), how, 24n);
  return fd !== -1 ? fd : again("openat2", path, dir, pathArgument(name), how, 24);
}

/**
 * Opens a regular file to be read, as {@link openBeneath} does. Whoever may change the tree may have put a fifo in its place
 * since it was looked at, or holds a lease on it: neither is waited for.
 */
export function openContents(dir: number, path: string): number {
  return openBeneath(dir, path, flags("O_RDONLY", "O_NONBLOCK", "O_NOCTTY"));
}

/** close(2). Errors are ignored: nothing that we write depends on what NFS would tell here. */
export function closeFile(fd: number): void {
  library().close(fd);
}

/** mkdirat(2). The umask applies. */
export function makeDirectoryAt(dir: number, path: string, mode: number): void {
  if (library().mkdirat(dir, pathArgument(path), mode) === -1) again("mkdirat", path, dir, pathArgument(path), mode);
}

/** mknodat(2): `mode` holds the type (`S_IFCHR`, `S_IFBLK`, `S_IFIFO`, `S_IFREG`); the umask applies. */
export function makeNodeAt(dir: number, path: string, mode: number, major = 0, minor = 0): void {
  // The kernel's 32-bit dev_t (new_encode_dev): minor 0–7, major 8–19, minor 20–31.
  const device = ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
  const result = library().mknodat(number.mknodat, dir, pathArgument(path), mode, device);
  if (result === -1) again("mknodat", path, dir, pathArgument(path), mode, device);
}

/** linkat(2); a symbolic link as target is linked itself. */
export function linkAt(oldDir: number, oldPath: string, newDir: number, newPath: string): void {
  const [from, to] = [pathArgument(oldPath), pathArgument(newPath, 1)];
  if (library().linkat(oldDir, from, newDir, to, 0) === -1) again("linkat", newPath, oldDir, from, newDir, to, 0);
}

/** symlinkat(2). */
export function symlinkAt(target: string, dir: number, path: string): void {
  const [text, name] = [pathArgument(target), pathArgument(path, 1)];
  if (library().symlinkat(text, dir, name) === -1) again("symlinkat", path, text, dir, name);
}

const linkBuffer = new Uint8Array(4096);

/** Text of a symbolic link, or undefined where the path is something else. */
export function readLinkAt(dir: number, path: string): string | undefined {
  let length = library().readlinkat(dir, pathArgument(path), linkBuffer, BigInt(linkBuffer.length));
  try {
    if (length === -1) length = again("readlinkat", path, dir, pathArgument(path), linkBuffer, linkBuffer.length);
  } catch (error) {
    if (isErrno(error, "EINVAL")) return undefined;
    throw error;
  }
  return decodePath(linkBuffer.subarray(0, length));
}

/** unlinkat(2) of something that is not a directory. */
export function unlinkAt(dir: number, path: string): void {
  if (library().unlinkat(dir, pathArgument(path), 0) === -1) again("unlinkat", path, dir, pathArgument(path), 0);
}

/** unlinkat(2) of an empty directory. */
export function removeDirectoryAt(dir: number, path: string): void {
  if (library().unlinkat(dir, pathArgument(path), removeDirectory) === -1) {
    again("unlinkat", path, dir, pathArgument(path), removeDirectory);
  }
}

/** renameat(2). */
export function renameAt(oldDir: number, oldPath: string, newDir: number, newPath: string): void {
  const [from, to] = [pathArgument(oldPath), pathArgument(newPath, 1)];
  if (library().renameat(oldDir, from, newDir, to) === -1) again("renameat", newPath, oldDir, from, newDir, to);
}

/** fchownat(2) without following a link; an id of -1 stays as it is. Clears set-user-ID bits and file capabilities. */
export function changeOwnerAt(dir: number, path: string, uid: number, gid: number): void {
  const result = library().fchownat(dir, pathArgument(path), uid >>> 0, gid >>> 0, noFollow);
  if (result === -1) again("fchownat", path, dir, pathArgument(path), uid, gid, noFollow);
}

/** fchown(2); an id of -1 stays as it is. Clears set-user-ID bits and file capabilities. */
export function changeOwner(fd: number, uid: number, gid: number): void {
  if (library().fchown(fd, uid >>> 0, gid >>> 0) === -1) call("fchown", fd, uid, gid);
}

/** fchmodat(2). Follows a symbolic link, which Linux gives no mode of its own: the caller knows that it is none. */
export function changeModeAt(dir: number, path: string, mode: number): void {
  const result = library().fchmodat(dir, pathArgument(path), mode, 0);
  if (result === -1) again("fchmodat", path, dir, pathArgument(path), mode);
}

/** fchmod(2). */
export function changeMode(fd: number, mode: number): void {
  if (library().fchmod(fd, mode) === -1) call("fchmod", fd, mode);
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
  const times = packTimes(atime, mtime);
  const result = library().utimensat(dir, pathArgument(path), times, noFollow);
  if (result === -1) again("utimensat", path, dir, pathArgument(path), times, noFollow);
}

/** futimens(3). */
export function setTimes(fd: number, atime: FileTime, mtime: FileTime): void {
  const times = packTimes(atime, mtime);
  if (library().futimens(fd, times) === -1) call("utimensat", fd, 0, times, 0);
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
  const result = library().statx(dir, pathArgument(path), how, STATX_BASIC_STATS, statArgument);
  if (result === -1) again("statx", path, dir, pathArgument(path), how, STATX_BASIC_STATS, statArgument);
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
    let taken = Number(library().pread(fd, rest, BigInt(rest.length), BigInt(offset + done)));
    // Also where a signal interrupted it: the other call is as good.
    if (taken === -1) taken = call("pread64", fd, rest, rest.length, offset + done);
    if (taken === 0) break;
    done += taken;
  }
  return done;
}

/** Writes all bytes at an offset. */
export function writeAt(fd: number, bytes: Uint8Array, offset: number): void {
  // FFI takes memory that is not shared; ours never is.
  let rest = bytes as Uint8Array<ArrayBuffer>;
  let at = offset;
  while (rest.length > 0) {
    let taken = Number(library().pwrite(fd, rest, BigInt(rest.length), BigInt(at)));
    if (taken === -1) taken = call("pwrite64", fd, rest, rest.length, at);
    at += taken;
    rest = rest.subarray(taken);
  }
}

/** ftruncate(2). */
export function truncateFile(fd: number, size: number): void {
  if (library().ftruncate(fd, BigInt(size)) === -1) call("ftruncate", fd, size);
}

/** fallocate(2) of a range; false where the file system cannot. */
export function allocate(fd: number, offset: number, length: number): boolean {
  const result = library().fallocate(fd, 0, BigInt(offset), BigInt(length));
  try {
    if (result === -1) call("fallocate", fd, 0, offset, length);
  } catch (error) {
    if (isErrno(error, "EOPNOTSUPP")) return false;
    throw error;
  }
  return true;
}

/** The next range of the file, from `offset` on, that is not a hole; undefined where only a hole is left. */
export function nextData(fd: number, offset: number): { start: number; end: number } | undefined {
  let start = Number(library().lseek(fd, BigInt(offset), SEEK_DATA));
  try {
    if (start === -1) start = call("lseek", fd, offset, SEEK_DATA);
  } catch (error) {
    if (isErrno(error, "ENXIO")) return undefined;
    throw error;
  }
  const end = Number(library().lseek(fd, BigInt(start), SEEK_HOLE));
  return { start, end: end !== -1 ? end : call("lseek", fd, start, SEEK_HOLE) };
}

/** fsync(2). */
export function syncFile(fd: number): void {
  if (library().fsync(fd) === -1) call("fsync", fd);
}

/** syncfs(2): the whole file system of the descriptor. */
export function syncFileSystem(fd: number): void {
  if (library().syncfs(fd) === -1) call("syncfs", fd);
}

/** flock(2) without waiting: whether the lock is ours now. `LOCK_UN` always succeeds. */
export function tryLock(fd: number, operation: "LOCK_SH" | "LOCK_EX" | "LOCK_UN"): boolean {
  try {
    if (library().flock(fd, flags(operation, "LOCK_NB")) === -1) call("flock", fd, flags(operation, "LOCK_NB"));
    return true;
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return false;
    throw error;
  }
}

/** Names in an open directory, without `.` and `..`, in the file system's order. Reads from the current position on. */
export function listDirectory(fd: number): string[] {
  const names: string[] = [];
  const buffer = new Uint8Array(32768);
  const view = new DataView(buffer.buffer);
  for (;;) {
    let length = library().getdents64(number.getdents64, fd, buffer, BigInt(buffer.length));
    if (length === -1) length = call("getdents64", fd, buffer, buffer.length);
    if (length === 0) return names;
    // struct linux_dirent64: d_ino u64, d_off s64, d_reclen u16 at 16, d_type u8 at 18, d_name at 19.
    for (let at = 0; at < length; at += view.getUint16(at + 16, true)) {
      const name = buffer.subarray(at + 19, buffer.indexOf(0, at + 19));
      const text = decodePath(name);
      if (text !== "." && text !== "..") names.push(text);
    }
  }
}
