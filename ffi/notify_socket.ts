/**
 * Messages to a service manager: one datagram to the unix socket that `$NOTIFY_SOCKET` names (sd_notify(3)).
 *
 * @module
 */
import { flags } from "./constants.ts";
import { call } from "./syscall.ts";

/** struct sockaddr_un holds so many bytes of path; an abstract name needs no NUL behind it. */
const pathBytesMax = 108;

/**
 * Sends the text to the datagram socket; `@name` is an abstract one. It never waits: a manager that reads no messages
 * loses this one. Throws {@link SyscallError} with the kernel's reason, `RangeError` for a path that is too long or
 * neither absolute nor abstract.
 */
export function sendDatagram(path: string, text: string): void {
  const bytes = new TextEncoder().encode(path);
  if (!/^[/@]/.test(path) || bytes.length > pathBytesMax - (path.startsWith("/") ? 1 : 0)) {
    throw new RangeError(`"${path}" cannot be a notification socket: want /path or @name of at most 107 bytes`);
  }
  const address = new Uint8Array(2 + bytes.length + (path.startsWith("/") ? 1 : 0));
  new DataView(address.buffer).setUint16(0, flags("AF_UNIX"), true);
  address.set(bytes, 2);
  if (path.startsWith("@")) address[2] = 0;
  const message = new TextEncoder().encode(text);
  const socket = call("socket", flags("AF_UNIX"), flags("SOCK_DGRAM", "SOCK_CLOEXEC", "SOCK_NONBLOCK"), 0);
  try {
    call("sendto", socket, message, message.length, 0, address, address.length);
  } finally {
    call("close", socket);
  }
}
