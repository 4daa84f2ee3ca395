/**
 * HTTP/2 frames (RFC 9113): numbers, and writing them.
 *
 * @module
 */

/** Frame types, RFC 9113 section 6. */
export const frameTypes = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goAway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const;

/** Frame flags; END_STREAM and ACK are the same bit. */
export const frameFlags = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

/** Error codes, RFC 9113 section 7. */
export const errorCodes = {
  noError: 0x0,
  protocolError: 0x1,
  internalError: 0x2,
  flowControlError: 0x3,
  settingsTimeout: 0x4,
  streamClosed: 0x5,
  frameSizeError: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compressionError: 0x9,
  connectError: 0xa,
  enhanceYourCalm: 0xb,
  inadequateSecurity: 0xc,
  http11Required: 0xd,
} as const;

/** In the place of an error code: the connection has ended, and nobody said why. */
export const connectionLost = -1;

/** Settings, RFC 9113 section 6.5.2. */
export const settings = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
} as const;

/** Bytes of a frame's header. */
export const frameHeaderBytes = 9;
/** The window of a stream and of a connection before anybody says otherwise. */
export const defaultWindow = 65_535;
/** The largest window. */
export const windowMax = 0x7fff_ffff;
/** The largest frame before the peer allows more. */
export const defaultFrameMax = 16_384;

/** What a client sends first. */
export const preface = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** The peer broke the protocol in a way that ends the connection. `code` is for its GOAWAY. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";

  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/** Writes a frame's header at `at`, and gives the position after it. */
export function putFrameHeader(
  into: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): number {
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = flags;
  return putUint32(into, at + 5, stream);
}

/** Writes a 32-bit number, and gives the position after it. */
export function putUint32(into: Uint8Array, at: number, value: number): number {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
  return at + 4;
}

/** Reads a 32-bit number. */
export function uint32At(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** A whole frame with this payload. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes + payload.length);
  bytes.set(payload, putFrameHeader(bytes, 0, payload.length, type, flags, stream));
  return bytes;
}

/** A frame whose payload is one 32-bit number: RST_STREAM, WINDOW_UPDATE. */
export function numberFrame(type: number, stream: number, value: number): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes + 4);
  putUint32(bytes, putFrameHeader(bytes, 0, 4, type, 0, stream), value);
  return bytes;
}

/** A SETTINGS frame. */
export function settingsFrame(values: readonly (readonly [id: number, value: number])[]): Uint8Array {
  const payload = new Uint8Array(values.length * 6);
  for (const [index, [id, value]] of values.entries()) {
    payload[index * 6] = id >>> 8;
    payload[index * 6 + 1] = id;
    putUint32(payload, index * 6 + 2, value);
  }
  return frame(frameTypes.settings, 0, 0, payload);
}

const encoder = new TextEncoder();

/** A GOAWAY frame; `text` is for the peer's log. */
export function goAwayFrame(lastStream: number, code: number, text: string): Uint8Array {
  const debug = encoder.encode(text);
  const payload = new Uint8Array(8 + debug.length);
  putUint32(payload, putUint32(payload, 0, lastStream), code);
  payload.set(debug, 8);
  return frame(frameTypes.goAway, 0, 0, payload);
}
