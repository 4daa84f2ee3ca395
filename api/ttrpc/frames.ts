/**
 * ttrpc's frames: a header of ten bytes, big endian (data length, stream, type, flags), and the data.
 *
 * @module
 */

/** What a frame carries. Types that are not listed are to be ignored. */
export const frameTypes = { request: 1, response: 2, data: 3 } as const;

/** `remoteClosed`: the sender says no more on this stream. `remoteOpen`: it will. `noData`: there is no message. */
export const frameFlags = { remoteClosed: 0x01, remoteOpen: 0x02, noData: 0x04 } as const;

/** Bytes of a header. */
export const frameHeaderBytes = 10;
/** Most bytes of data in a frame; what both Go sides enforce. */
export const messageBytesMaxDefault = 4 << 20;

/** The header of a frame. */
export interface FrameHeader {
  readonly length: number;
  readonly stream: number;
  readonly type: number;
  readonly flags: number;
}

/** Writes a header and gives the position behind it. */
export function putFrameHeader(into: Uint8Array, at: number, { length, stream, type, flags }: FrameHeader): number {
  putUint32(into, at, length);
  putUint32(into, at + 4, stream);
  into[at + 8] = type;
  into[at + 9] = flags;
  return at + frameHeaderBytes;
}

/** Reads a header; the bytes must be there. */
export function frameHeaderAt(bytes: Uint8Array, at: number): FrameHeader {
  const length = uint32At(bytes, at), stream = uint32At(bytes, at + 4);
  return { length, stream, type: bytes[at + 8]!, flags: bytes[at + 9]! };
}

function putUint32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}

function uint32At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! * 0x1000000) + (bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!);
}
