/**
 * Extended attributes. Those of a name in a directory go through /proc/self/fd, because the calls with a directory
 * descriptor came only with Linux 6.13; /proc must be mounted.
 *
 * @module
 */
import { errnoNumber, SyscallError } from "./errno.ts";
import { checked, lastErrno, libc } from "./libc.ts";
import { decodePath, pathArgument, procPath } from "./path.ts";

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
  checked(library().fsetxattr(fd, pathArgument(name), bytes, BigInt(value.length), 0), "fsetxattr", name);
}

/** lsetxattr(2) of a name in an open directory. */
export function setXattrAt(dir: number, path: string, name: string, value: Uint8Array): void {
  const bytes = value.length === 0 ? emptyValue : Uint8Array.from(value);
  const size = BigInt(value.length);
  checked(
    library().lsetxattr(pathArgument(procPath(dir, path)), pathArgument(name, 1), bytes, size, 0),
    "lsetxattr",
    path,
  );
}

// XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h.
const xattrBuffer = new Uint8Array(65536);

/** lgetxattr(2) of a name in an open directory; undefined where the file or its file system has no such attribute. */
export function getXattrAt(dir: number, path: string, name: string): Uint8Array<ArrayBuffer> | undefined {
  const size = library().lgetxattr(pathArgument(procPath(dir, path)), pathArgument(name, 1), xattrBuffer, 65536n);
  if (size === -1n) {
    const errno = lastErrno();
    if (errno === errnoNumber("ENODATA") || errno === errnoNumber("EOPNOTSUPP")) return undefined;
    throw new SyscallError("lgetxattr", errno, path);
  }
  return xattrBuffer.slice(0, Number(size));
}

/** llistxattr(2) of a name in an open directory; none where the file system has no attributes. */
export function listXattrsAt(dir: number, path: string): string[] {
  const size = library().llistxattr(pathArgument(procPath(dir, path)), xattrBuffer, 65536n);
  if (size === -1n) {
    const errno = lastErrno();
    if (errno === errnoNumber("EOPNOTSUPP")) return [];
    throw new SyscallError("llistxattr", errno, path);
  }
  return decodePath(xattrBuffer.subarray(0, Number(size))).split("\0").slice(0, -1);
}
