/**
 * Opens namespaces that others name by path.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { constant, flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { call } from "../../ffi/syscall.ts";
import { statfsBytes } from "./plan/file_system.ts";

/**
 * A descriptor of the namespace. Nothing else is opened: a fifo would wait for a writer, a device may do something. Throws
 * `InvalidArgument` for what is no namespace, {@link SyscallError} where there is nothing.
 */
export function openNamespace(path: string): Descriptor {
  using place = openFile(path, flags("O_PATH"));
  const status = new Uint8Array(statfsBytes);
  call("fstatfs", place.number, status);
  if (new DataView(status.buffer).getUint32(0, true) !== constant("NSFS_MAGIC")) {
    throw new Failure(
      "InvalidArgument",
      `open the namespace "${path}": it is none; want a file such as "/proc/PID/ns/net"`,
    );
  }
  return openFile(`/proc/self/fd/${place.number}`, flags("O_RDONLY"));
}
