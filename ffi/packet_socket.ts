/**
 * Pairs of sockets that keep messages apart (SOCK_SEQPACKET).
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor } from "./descriptor.ts";
import { call } from "./syscall.ts";

/** Two connected sockets, both O_CLOEXEC. */
export function packetPair(): [Descriptor, Descriptor] {
  const ends = new Int32Array(2);
  call("socketpair", flags("AF_UNIX"), flags("SOCK_SEQPACKET", "SOCK_CLOEXEC"), 0, ends);
  return [new Descriptor(ends[0]!), new Descriptor(ends[1]!)];
}

/** A message that was received. */
export interface Packet {
  readonly bytes: Uint8Array;
  /** The descriptor that came with it (SCM_RIGHTS). */
  readonly descriptor: Descriptor | undefined;
}

/**
 * Receives one message, and waits for it on a socket that waits; undefined where the peer has closed its end. Throws
 * {@link SyscallError}, and a `RangeError` for a message of more than `bytesMax`.
 */
export function receivePacket(socket: number, bytesMax: number): Packet | undefined {
  const payload = new Uint8Array(bytesMax);
  const vector = new BigUint64Array([address(payload), BigInt(payload.length)]);
  // One descriptor is a header of 16 bytes and a number of 4; the kernel closes those that find no room.
  const control = new Uint8Array(24);
  const message = new BigUint64Array([0n, 0n, address(vector), 1n, address(control), BigInt(control.length), 0n]);
  const count = call("recvmsg", socket, message, flags("MSG_CMSG_CLOEXEC"));
  const view = new DataView(control.buffer);
  const isRights = message[5]! >= 20n && view.getUint32(8, true) === flags("SOL_SOCKET") &&
    view.getUint32(12, true) === flags("SCM_RIGHTS");
  const descriptor = isRights ? new Descriptor(view.getInt32(16, true)) : undefined;
  if (Number(message[6]! & 0xffffffffn) & truncated) {
    descriptor?.close();
    throw new RangeError(`a message has more than ${bytesMax} bytes`);
  }
  return count === 0 ? undefined : { bytes: payload.subarray(0, count), descriptor };
}

/** MSG_TRUNC of msg_flags. */
const truncated = 0x20;

function address(view: Uint8Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(view));
}
