/**
 * Giving descriptors to other processes (SCM_RIGHTS); the other way is {@link file://./socket.ts}.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { call } from "./syscall.ts";

/** CMSG_LEN of one descriptor: a header of 16 bytes and the number. */
const controlLength = 20n;

/**
 * Sends one descriptor with the text (at least one byte, or the receiver could not tell it from the end). Throws
 * {@link SyscallError}, `EPIPE` where the receiver is gone.
 */
export function sendDescriptor(socket: number, descriptor: number, text: string): void {
  const payload = new TextEncoder().encode(text);
  const vector = new BigUint64Array([addressOf(payload), BigInt(payload.length)]);
  const control = new BigUint64Array(3);
  const view = new DataView(control.buffer);
  view.setBigUint64(0, controlLength, true);
  view.setUint32(8, flags("SOL_SOCKET"), true);
  view.setUint32(12, flags("SCM_RIGHTS"), true);
  view.setInt32(16, descriptor, true);
  const message = new BigUint64Array([0n, 0n, addressOf(vector), 1n, addressOf(control), 24n, 0n]);
  call("sendmsg", socket, message, flags("MSG_NOSIGNAL"));
}

function addressOf(view: Uint8Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(view));
}
