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

/**
 * The text of a file below `root`, with links resolved as if it were the root directory; undefined where there is no
 * such regular file or it is larger than 1 MiB.
 */
export function readInRoot(root: string, path: string): string | undefined {
  const how = new BigUint64Array([
    BigInt(flags("O_CLOEXEC", "O_NONBLOCK")),
    0n,
    BigInt(flags("RESOLVE_IN_ROOT", "RESOLVE_NO_MAGICLINKS")),
  ]);
  try {
    using directory = openFile(root, flags("O_PATH", "O_DIRECTORY"));
    using file = new Descriptor(call("openat2", directory.number, path, how, 24));
    const buffer = new Uint8Array(bytesMax + 1);
    let size = 0;
    for (let count = -1; count !== 0 && size <= bytesMax; size += count) {
      count = readOnce(file.number, buffer.subarray(size));
    }
    return size > bytesMax ? undefined : new TextDecoder().decode(buffer.subarray(0, size));
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "EACCES", "ENXIO", "EAGAIN")) return undefined;
    throw error;
  }
}
