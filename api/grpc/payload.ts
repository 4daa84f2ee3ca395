/**
 * Payloads of DATA and HEADERS frames: padding, and header blocks in several frames.
 *
 * @module
 */
import { ConnectionError, errorCodes, frameFlags } from "./frames.ts";
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

/** Throws `ConnectionError` where a GOAWAY of so many bytes on this stream is not allowed. */
export function checkGoAway(stream: number, bytes: number): void {
  if (stream !== 0) throw new ConnectionError(errorCodes.protocolError, "GOAWAY on a stream");
  if (bytes < 8) throw new ConnectionError(errorCodes.frameSizeError, "GOAWAY is too short");
}

/** As {@link checkGoAway}, for PRIORITY. */
export function checkPriority(stream: number, bytes: number): void {
  if (stream === 0) throw new ConnectionError(errorCodes.protocolError, "PRIORITY without a stream");
  if (bytes !== 5) throw new ConnectionError(errorCodes.frameSizeError, "PRIORITY has not 5 bytes");
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
    const fields = this.decoder.decode(concatenated(begun.parts, begun.bytes));
    return { stream: begun.stream, end: begun.end, fields };
  }
}

function concatenated(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
