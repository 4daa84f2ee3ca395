/**
 * Extended attributes. Those of a name in a directory go through /proc/self/fd, because the calls with a directory
 * descriptor came only with Linux 6.13; /proc must be mounted.
 *
 * @module
 */
import { errnoNumber, SyscallError } from "./errno.ts";
import { libc } from "./libc.ts";
import { decodePath, pathArgument, procPath } from "./path.ts";
import { attempt } from "./syscall.ts";

const library = libc({
  fsetxattr: {
    parameters: ["i32", /* fd */ "buffer", /* name */ "buffer", /* value */ "u64", /* size */ "i32" /* flags */],
    result: "i32",
  },
  lsetxattr: { parameters: ["buffer", /* path */ "buffer", /* name */ "buffer", "u64", "i32"], result: "i32" },
  lgetxattr: { parameters: ["buffer", /* path */ "buffer", /* name */ "buffer", "u64" /* size */], result: "i64" },
  llistxattr: { parameters: ["buffer", /* path */ "buffer", /* list */ "u64" /* size */], result: "i64" },
});

// FFI takes no empty buffer as a pointer other than null, which setxattr accepts only with size 0; one byte serves.
const emptyValue = new Uint8Array(1);

/** fsetxattr(2). */
export function setXattr(fd: number, name: string, value: Uint8Array): void {
  const bytes = value.length === 0 ? emptyValue : Uint8Array.from(value);
  if (library().fsetxattr(fd, pathArgument(name), bytes, BigInt(value.length), 0) !== -1) return;
  const result = attempt("fsetxattr", fd, pathArgument(name), bytes, value.length, 0);
  if (result < 0) throw new SyscallError("fsetxattr", -result, name);
}

/** lsetxattr(2) of a name in an open directory. */
export function setXattrAt(dir: number, path: string, name: string, value: Uint8Array): void {
  const bytes = value.length === 0 ? emptyValue : Uint8Array.from(value);
  const [file, attribute] = [pathArgument(procPath(dir, path)), pathArgument(name, 1)];
  if (library().lsetxattr(file, attribute, bytes, BigInt(value.length), 0) !== -1) return;
  const result = attempt("lsetxattr", file, attribute, bytes, value.length, 0);
  if (result < 0) throw new SyscallError("lsetxattr", -result, path);
}

// XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h.
const xattrBuffer = new Uint8Array(65536);

/** lgetxattr(2) of a name in an open directory; undefined where the file or its file system has no such attribute. */
export function getXattrAt(dir: number, path: string, name: string): Uint8Array<ArrayBuffer> | undefined {
  const [file, attribute] = [pathArgument(procPath(dir, path)), pathArgument(name, 1)];
  let size = Number(library().lgetxattr(file, attribute, xattrBuffer, 65536n));
  if (size === -1) size = attempt("lgetxattr", file, attribute, xattrBuffer, 65536);
  if (size < 0) {
    const errno = -size;
    if (errno === errnoNumber("ENODATA") || errno === errnoNumber("EOPNOTSUPP")) return undefined;
    throw new SyscallError("lgetxattr", errno, path);
  }
  return xattrBuffer.slice(0, size);
}

/** llistxattr(2) of a name in an open directory; none where the file system has no attributes. */
export function listXattrsAt(dir: number, path: string): string[] {
  const file = pathArgument(procPath(dir, path));
  let size = Number(library().llistxattr(file, xattrBuffer, 65536n));
  if (size === -1) size = attempt("llistxattr", file, xattrBuffer, 65536);
  if (size < 0) {
    const errno = -size;
    if (errno === errnoNumber("EOPNOTSUPP")) return [];
    throw new SyscallError("llistxattr", errno, path);
  }
  return decodePath(xattrBuffer.subarray(0, size)).split("\0").slice(0, -1);
}
