/**
 * Payloads of DATA and HEADERS frames: padding, and header blocks in several frames.
 *
 * @module
 */
import { concatBytes } from "../bytes.ts";
import {
  ConnectionError,
  defaultFrameMax,
  errorCodes,
  frameFlags,
  frameTypes,
  settings,
  uint32At,
  windowMax,
} from "./frames.ts";
import type { HeaderDecoder } from "./hpack/decoder.ts";
import type { Field } from "./hpack/static_table.ts";

/** Where the payload of a DATA or HEADERS frame begins and ends within its padding. Throws `ConnectionError`. */
export function unpadded(flags: number, buffer: Uint8Array, from: number, to: number): [from: number, to: number] {
  if (!(flags & frameFlags.padded)) return [from, to];
  const padding = from < to ? buffer[from]! : 0;
  if (from === to || padding >= to - from) {
    throw new ConnectionError(errorCodes.protocolError, "more padding than payload");
  }
  return [from + 1, to - padding];
}

/** Of each type: whether it belongs to a stream, a connection or either, and its bytes where they are fixed. */
const shapes: Readonly<
  Partial<Record<number, { name: string; on: "stream" | "connection" | "either"; bytes?: number }>>
> = {
  [frameTypes.data]: { name: "DATA", on: "stream" },
  [frameTypes.headers]: { name: "HEADERS", on: "stream" },
  [frameTypes.priority]: { name: "PRIORITY", on: "stream", bytes: 5 },
  [frameTypes.rstStream]: { name: "RST_STREAM", on: "stream", bytes: 4 },
  [frameTypes.settings]: { name: "SETTINGS", on: "connection" },
  [frameTypes.ping]: { name: "PING", on: "connection", bytes: 8 },
  [frameTypes.goAway]: { name: "GOAWAY", on: "connection" },
  [frameTypes.windowUpdate]: { name: "WINDOW_UPDATE", on: "either", bytes: 4 },
};

/** Throws `ConnectionError` where a frame of this type may not be on this stream or not have so many bytes. */
export function checkFrame(type: number, stream: number, bytes: number): void {
  const shape = shapes[type];
  if (shape === undefined) return;
  if (shape.on !== "either" && (stream === 0) !== (shape.on === "connection")) {
    throw new ConnectionError(errorCodes.protocolError, `${shape.name} on stream ${stream}`);
  }
  const wrong = shape.bytes === undefined ? type === frameTypes.goAway && bytes < 8 : bytes !== shape.bytes;
  if (wrong) throw new ConnectionError(errorCodes.frameSizeError, `${shape.name} of ${bytes} bytes`);
}

/** The values of a SETTINGS frame. Throws `ConnectionError` for those that may not be (RFC 9113 section 6.5.2). */
export function parseSettings(buffer: Uint8Array, from: number, to: number): [id: number, value: number][] {
  if ((to - from) % 6 !== 0) throw new ConnectionError(errorCodes.frameSizeError, "SETTINGS of odd length");
  const values: [number, number][] = [];
  for (let at = from; at < to; at += 6) {
    const id = (buffer[at]! << 8) | buffer[at + 1]!, value = uint32At(buffer, at + 2);
    if (id === settings.enablePush && value > 1) {
      throw new ConnectionError(errorCodes.protocolError, `ENABLE_PUSH is ${value}`);
    }
    if (id === settings.initialWindowSize && value > windowMax) {
      throw new ConnectionError(errorCodes.flowControlError, "INITIAL_WINDOW_SIZE too large");
    }
    if (id === settings.maxFrameSize && (value < defaultFrameMax || value > 0xff_ffff)) {
      throw new ConnectionError(errorCodes.protocolError, `MAX_FRAME_SIZE is ${value}`);
    }
    values.push([id, value]);
  }
  return values;
}

/** The fields of a whole header block; undefined where they are more than the limit. */
export interface HeaderBlock {
  readonly stream: number;
  readonly end: boolean;
  readonly fields: Field[] | undefined;
}

/** Puts header blocks together, from HEADERS and the CONTINUATION frames after it. Throws `ConnectionError`. */
export class HeaderBlocks {
  #begun: { stream: number; end: boolean; parts: Uint8Array[]; bytes: number } | undefined;

  constructor(private readonly decoder: HeaderDecoder, private readonly bytesMax: number) {}

  /** The stream whose block goes on with the next frame; nothing else may come between. */
  get unfinished(): number | undefined {
    return this.#begun?.stream;
  }

  /** A HEADERS frame; gives the block if it is whole. */
  headers(flags: number, stream: number, buffer: Uint8Array, from: number, to: number): HeaderBlock | undefined {
    const [begin, last] = unpadded(flags, buffer, from, to);
    const at = begin + (flags & frameFlags.priority ? 5 : 0);
    if (at > last) throw new ConnectionError(errorCodes.frameSizeError, "HEADERS is too short");
    const end = (flags & frameFlags.endStream) !== 0;
    if (flags & frameFlags.endHeaders) return { stream, end, fields: this.decoder.decode(buffer, at, last) };
    this.#begun = { stream, end, parts: [buffer.slice(at, last)], bytes: last - at };
    return undefined;
  }

  /** A CONTINUATION frame; gives the block if it is whole. */
  continuation(flags: number, buffer: Uint8Array, from: number, to: number): HeaderBlock | undefined {
    const begun = this.#begun;
    if (begun === undefined) throw new ConnectionError(errorCodes.protocolError, "CONTINUATION of nothing");
    begun.bytes += to - from;
    // The Huffman code makes nothing shorter than 5/8: whoever sends more than the list may have is not serious.
    if (begun.bytes > this.bytesMax) throw new ConnectionError(errorCodes.enhanceYourCalm, "header block too large");
    begun.parts.push(buffer.slice(from, to));
    if (!(flags & frameFlags.endHeaders)) return undefined;
    this.#begun = undefined;
    const fields = this.decoder.decode(concatBytes(begun.parts));
    return { stream: begun.stream, end: begun.end, fields };
  }
}
