/**
 * Opens namespaces that others name by path.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { constant, flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { magicOf } from "../../ffi/file_system.ts";

/**
 * A descriptor of the namespace. Nothing else is opened: a fifo would wait for a writer, a device may do something. Throws
 * `InvalidArgument` for what is no namespace, {@link SyscallError} where there is nothing.
 */
export function openNamespace(path: string): Descriptor {
  using place = openFile(path, flags("O_PATH"));
  if (magicOf(place.number) !== constant("NSFS_MAGIC")) {
    throw new Failure(
      "InvalidArgument",
      `open the namespace "${path}": it is none; want a file such as "/proc/PID/ns/net"`,
    );
  }
  return openFile(`/proc/self/fd/${place.number}`, flags("O_RDONLY"));
}
