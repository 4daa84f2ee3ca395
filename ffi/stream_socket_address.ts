/**
 * Addresses of unix sockets.
 *
 * @module
 */
import { flags } from "./constants.ts";

/** The longest path in bytes: containerd's own limit, a little below the kernel's 107. */
export const socketPathBytesMax = 104;

/** Struct sockaddr_un of a path, or of `@name` in the abstract namespace. Throws `RangeError` where it is too long. */
export function unixAddress(name: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length > socketPathBytesMax) {
    throw new RangeError(`"${name}": unix socket path too long (> ${socketPathBytesMax})`);
  }
  const isAbstract = name.startsWith("@");
  // In the abstract namespace NUL is a character like others, and containerd's old shims have one at the end.
  if (name === "" || (!isAbstract && name.includes("\0"))) {
    throw new RangeError(`${JSON.stringify(name)} cannot be a unix socket`);
  }
  // A path ends in NUL; an abstract name begins with it and is as long as it is.
  const address = new Uint8Array(2 + bytes.length + (isAbstract ? 0 : 1));
  new DataView(address.buffer).setUint16(0, flags("AF_UNIX"), true);
  address.set(bytes, 2);
  if (isAbstract) address[2] = 0;
  return address;
}
