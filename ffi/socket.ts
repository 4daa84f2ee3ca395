/**
 * Unix sockets by descriptor: pairs, connections, and descriptors received over them.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor } from "./descriptor.ts";
import { call } from "./syscall.ts";

/** Two connected stream sockets, both O_CLOEXEC. */
export function socketPair(): [Descriptor, Descriptor] {
  const ends = new Int32Array(2);
  call("socketpair", flags("AF_UNIX"), flags("SOCK_STREAM", "SOCK_CLOEXEC"), 0, ends);
  return [new Descriptor(ends[0]!), new Descriptor(ends[1]!)];
}

/** The longest path of struct sockaddr_un, without its NUL. */
const pathBytesMax = 107;

/**
 * Connects to a stream socket of the file system. Throws {@link SyscallError}, `ENAMETOOLONG` as a `RangeError`, and unless
 * it `waits` (the default) `EAGAIN` where too many wait for the listener already.
 */
export function connectUnix(path: string, { waits = true }: { waits?: boolean } = {}): Descriptor {
  const bytes = new TextEncoder().encode(path);
  if (bytes.length > pathBytesMax) throw new RangeError(`"${path}" is too long for a unix socket (107 bytes)`);
  const address = new Uint8Array(2 + pathBytesMax + 1);
  new DataView(address.buffer).setUint16(0, flags("AF_UNIX"), true);
  address.set(bytes, 2);
  const type = flags("SOCK_STREAM", "SOCK_CLOEXEC") | (waits ? 0 : flags("SOCK_NONBLOCK"));
  const socket = new Descriptor(call("socket", flags("AF_UNIX"), type, 0));
  try {
    call("connect", socket.number, address, 2 + bytes.length + 1);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * Receives one message with one descriptor (SCM_RIGHTS); waits for it. Undefined where the peer closed or sent none.
 * struct msghdr is 56 bytes on both architectures; the control message is 16 bytes of header and the descriptor.
 */
export function receiveDescriptor(socket: number): Descriptor | undefined {
  const payload = new Uint8Array(4096);
  const vector = new BigUint64Array([address(payload), BigInt(payload.length)]);
  const control = new Uint8Array(24);
  const message = new BigUint64Array([0n, 0n, address(vector), 1n, address(control), BigInt(control.length), 0n]);
  call("recvmsg", socket, message, flags("MSG_CMSG_CLOEXEC"));
  const view = new DataView(control.buffer);
  const isRights = view.getUint32(8, true) === flags("SOL_SOCKET") && view.getUint32(12, true) === flags("SCM_RIGHTS");
  if (message[5] === 0n || !isRights) return undefined;
  return new Descriptor(view.getInt32(16, true));
}

function address(view: Uint8Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(view));
}
