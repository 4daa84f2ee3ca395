/**
 * Parcels: texts with open descriptors, between processes of this host, over unix sockets that keep messages apart
 * (SOCK_SEQPACKET with SCM_RIGHTS, unix(7)). Nothing here waits.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor } from "./descriptor.ts";
import { errnoNumber, SyscallError } from "./errno.ts";
import { unixAddress } from "./stream_socket_address.ts";
import { attempt, call } from "./syscall.ts";

/** What is sent at once. */
export interface Parcel {
  readonly text: string;
  readonly descriptors: readonly Descriptor[];
}

/** Descriptors of one parcel. The kernel takes up to 253. */
export const parcelDescriptorsMax = 16;
/** Bytes of a text; one that is longer is not sent, and arrives as none. */
export const parcelBytesMax = 64 << 10;

/** Where a text is received, and read at once. */
const received = new Uint8Array(parcelBytesMax);

/** struct cmsghdr: the length, the level and the type; descriptors of 4 bytes follow. */
const headerBytes = 16;

function packetSocket(): Descriptor {
  return new Descriptor(
    call("socket", flags("AF_UNIX"), flags("SOCK_SEQPACKET", "SOCK_CLOEXEC", "SOCK_NONBLOCK"), 0),
  );
}

/** Listens on a path that only this process's user may connect to. Throws {@link SyscallError}, `RangeError` as to the path. */
export function listenForParcels(path: string): Descriptor {
  const address = unixAddress(path);
  const socket = packetSocket();
  try {
    const bound = attempt("bind", socket.number, address, address.length);
    if (bound < 0) throw new SyscallError("bind", -bound, path);
    call("fchmodat", flags("AT_FDCWD"), path, 0o600);
    call("listen", socket.number, 4096);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** Two sockets that are connected to each other. Throws {@link SyscallError}. */
export function parcelPair(): [Descriptor, Descriptor] {
  const ends = new Int32Array(2);
  call("socketpair", flags("AF_UNIX"), flags("SOCK_SEQPACKET", "SOCK_CLOEXEC", "SOCK_NONBLOCK"), 0, ends);
  return [new Descriptor(ends[0]!), new Descriptor(ends[1]!)];
}

/** The next connection, with the user at its other end; undefined where there is none now. Throws {@link SyscallError}. */
export function acceptForParcels(listener: number): { socket: Descriptor; uid: number } | undefined {
  const accepted = attempt("accept4", listener, 0, 0, flags("SOCK_CLOEXEC", "SOCK_NONBLOCK"));
  if (accepted < 0) {
    if (passing.includes(-accepted)) return undefined;
    throw new SyscallError("accept4", -accepted);
  }
  const socket = new Descriptor(accepted);
  const credentials = new Int32Array(3);
  const length = new Uint32Array([credentials.byteLength]);
  call("getsockopt", accepted, flags("SOL_SOCKET"), flags("SO_PEERCRED"), credentials, length);
  return { socket, uid: credentials[1]! >>> 0 };
}

const passing = [errnoNumber("EAGAIN"), errnoNumber("EINTR"), errnoNumber("ECONNABORTED")];

/** Connects. Throws {@link SyscallError}: `ENOENT` and `ECONNREFUSED` where nobody listens, `EAGAIN` where too many wait. */
export function connectForParcels(path: string): Descriptor {
  const address = unixAddress(path);
  const socket = packetSocket();
  const result = attempt("connect", socket.number, address, address.length);
  if (result >= 0) return socket;
  socket.close();
  throw new SyscallError("connect", -result, path);
}

/**
 * Sends the text with duplicates of the descriptors; false where the other side has too much to read already. Throws
 * {@link SyscallError} (`EPIPE`: the other side is gone; `EBADF`), `RangeError` for what is too much for one parcel.
 */
export function sendParcel(socket: number, text: string, descriptors: readonly number[]): boolean {
  const payload = new TextEncoder().encode(text);
  if (payload.length === 0 || payload.length > parcelBytesMax || descriptors.length > parcelDescriptorsMax) {
    throw new RangeError(`a parcel of ${payload.length} bytes with ${descriptors.length} descriptors cannot be sent`);
  }
  const control = new BigUint64Array(Math.ceil((headerBytes + 4 * descriptors.length) / 8));
  const view = new DataView(control.buffer);
  view.setBigUint64(0, BigInt(headerBytes + 4 * descriptors.length), true);
  view.setUint32(8, flags("SOL_SOCKET"), true);
  view.setUint32(12, flags("SCM_RIGHTS"), true);
  descriptors.forEach((number, index) => view.setInt32(headerBytes + 4 * index, number, true));
  const controlBytes = descriptors.length === 0 ? 0 : control.byteLength;
  const { message, kept } = header(payload, control, controlBytes);
  const sent = attempt("sendmsg", socket, message, flags("MSG_NOSIGNAL"));
  // What the header points to is to be alive until here.
  kept.length = 0;
  if (sent >= 0) return true;
  if (sent === -errnoNumber("EAGAIN") || sent === -errnoNumber("EINTR")) return false;
  throw new SyscallError("sendmsg", -sent);
}

/**
 * The next parcel, whose descriptors are the caller's; undefined where none has come yet, `"end"` where none will. Throws
 * {@link SyscallError}.
 */
export function receiveParcel(socket: number): Parcel | undefined | "end" {
  const control = new BigUint64Array((headerBytes + 4 * parcelDescriptorsMax) / 8);
  const { message, kept } = header(received, control, control.byteLength);
  const count = attempt("recvmsg", socket, message, flags("MSG_CMSG_CLOEXEC"));
  kept.length = 0;
  if (count === 0 || count === -errnoNumber("ECONNRESET")) return "end";
  if (count < 0) {
    if (count === -errnoNumber("EAGAIN") || count === -errnoNumber("EINTR")) return undefined;
    throw new SyscallError("recvmsg", -count);
  }
  const text = new TextDecoder().decode(received.subarray(0, count));
  return { text, descriptors: descriptorsIn(control, Number(message[5]!)) };
}

/** The kernel writes one control message at most, as nothing but descriptors was asked for. */
function descriptorsIn(control: BigUint64Array<ArrayBuffer>, controlBytes: number): Descriptor[] {
  if (controlBytes < headerBytes) return [];
  const view = new DataView(control.buffer);
  if (view.getUint32(8, true) !== flags("SOL_SOCKET") || view.getUint32(12, true) !== flags("SCM_RIGHTS")) return [];
  const count = (Number(view.getBigUint64(0, true)) - headerBytes) / 4;
  return Array.from({ length: count }, (_, index) => new Descriptor(view.getInt32(headerBytes + 4 * index, true)));
}

/** struct msghdr: name and its length, the vector and its length, the control data and its length, flags. */
function header(payload: Uint8Array<ArrayBuffer>, control: BigUint64Array<ArrayBuffer>, controlBytes: number) {
  const vector = new BigUint64Array([addressOf(payload), BigInt(payload.length)]);
  const message = new BigUint64Array([0n, 0n, addressOf(vector), 1n, addressOf(control), BigInt(controlBytes), 0n]);
  return { message, kept: [payload, vector, control] as unknown[] };
}

function addressOf(view: Uint8Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(view));
}
