/**
 * Reads small files of an untrusted root file system from outside.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile, readOnce } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { call } from "../../ffi/syscall.ts";

/** No passwd or group file that is meant seriously is larger. */
const bytesMax = 1 << 20;
/** Enough for most. */
const bytesAtFirst = 8192;

/**
 * The text of a file below `root`, with links resolved as if it were the root directory; undefined where there is no
 * such regular file or it is larger than 1 MiB.
 */
export function readInRoot(root: string, path: string): string | undefined {
  const how = new BigUint64Array([
    BigInt(flags("O_PATH", "O_CLOEXEC")),
    0n,
    BigInt(flags("RESOLVE_IN_ROOT", "RESOLVE_NO_MAGICLINKS")),
  ]);
  try {
    using directory = openFile(root, flags("O_PATH", "O_DIRECTORY"));
    using found = new Descriptor(call("openat2", directory.number, path, how, 24));
    const self = `/proc/self/fd/${found.number}`;
    // A device may do something as soon as it is opened, and no device cgroup of the container holds this process back.
    if (!Deno.statSync(self).isFile) return undefined;
    using file = openFile(self, flags("O_RDONLY"));
    return readText(file.number);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "EACCES", "ENXIO", "EAGAIN")) return undefined;
    throw error;
  }
}

/** The whole file as text; undefined where it is too large. */
function readText(fd: number): string | undefined {
  let buffer = new Uint8Array(bytesAtFirst);
  for (let size = 0;;) {
    const count = readOnce(fd, buffer.subarray(size));
    if (count === 0) return new TextDecoder().decode(buffer.subarray(0, size));
    size += count;
    if (size > bytesMax) return undefined;
    if (size === buffer.length) {
      const larger = new Uint8Array(buffer.length * 4);
      larger.set(buffer);
      buffer = larger;
    }
  }
}
