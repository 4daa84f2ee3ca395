/**
 * Sending within the peer's windows.
 *
 * @module
 */
import {
  defaultFrameMax,
  defaultWindow,
  frame,
  frameFlags,
  frameHeaderBytes,
  frameTypes,
  putFrameHeader,
  windowMax,
} from "./frames.ts";
import type { Output } from "./output.ts";
import type { Stream } from "./stream.ts";

/** DATA goes into the output while this is not exceeded, so that a PING's answer waits for little. */
const backlogMax = 1 << 18;
/** gRPC's prefix of a message: a flag and its length. */
const prefixBytes = 5;

/** What one connection sends. */
export class Sender {
  /** Streams with something to send and a window for it. */
  readonly #ready = new Set<Stream>();
  #window = defaultWindow;
  /** The peer's SETTINGS_MAX_FRAME_SIZE. */
  frameMax = defaultFrameMax;
  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE. */
  initialWindow = defaultWindow;

  /** `onEnded` is called when our side of a stream has ended. */
  constructor(private readonly output: Output, private readonly onEnded: (stream: Stream) => void) {}

  /** The peer takes more on the connection; false where that is more than a window may be. */
  widen(more: number): boolean {
    this.#window += more;
    return this.#window <= windowMax;
  }

  /** The peer takes more on one stream; as {@link widen}. */
  widenStream(stream: Stream, more: number): boolean {
    stream.sendWindow += more;
    if (stream.queue.length > 0) this.#ready.add(stream);
    return stream.sendWindow <= windowMax;
  }

  /** The peer changes the window of all streams, also to less than nothing; as {@link widen}. */
  setInitialWindow(value: number, streams: Iterable<Stream>): boolean {
    const change = value - this.initialWindow;
    this.initialWindow = value;
    for (const stream of streams) if (!this.widenStream(stream, change)) return false;
    return true;
  }

  /** Forgets a stream that has ended. */
  forget(stream: Stream): void {
    this.#ready.delete(stream);
  }

  /** Writes a header block now. */
  headers(id: number, block: Uint8Array, end: boolean): void {
    const max = this.frameMax;
    const flags = end ? frameFlags.endStream : 0;
    if (block.length <= max) {
      const { buffer, at } = this.output.reserve(frameHeaderBytes + block.length);
      const after = putFrameHeader(buffer, at, block.length, frameTypes.headers, flags | frameFlags.endHeaders, id);
      buffer.set(block, after);
      return;
    }
    this.output.add(frame(frameTypes.headers, flags, id, block.subarray(0, max)));
    for (let at = max; at < block.length; at += max) {
      const last = at + max >= block.length ? frameFlags.endHeaders : 0;
      this.output.add(frame(frameTypes.continuation, last, id, block.subarray(at, at + max)));
    }
  }

  /** Sends a message, or queues it. Gives a promise where the caller should wait before it sends more. */
  message(stream: Stream, message: Uint8Array): Promise<void> | undefined {
    const bytes = message.length + prefixBytes;
    const now = stream.queue.length === 0 && bytes <= stream.sendWindow && bytes <= this.#window &&
      bytes <= this.frameMax && this.output.backlog < backlogMax;
    if (now) {
      stream.sendWindow -= bytes;
      this.#window -= bytes;
      const { buffer, at } = this.output.reserve(frameHeaderBytes + bytes);
      const prefix = putFrameHeader(buffer, at, bytes, frameTypes.data, 0, stream.id);
      buffer.set(message, putPrefix(buffer, prefix, message.length));
      return undefined;
    }
    const prefix = new Uint8Array(prefixBytes);
    putPrefix(prefix, 0, message.length);
    stream.queue.push(prefix);
    if (message.length > 0) stream.queue.push(message);
    stream.queuedBytes += bytes;
    this.#ready.add(stream);
    this.pump();
    if (stream.queue.length === 0) return undefined;
    return (stream.drained ??= Promise.withResolvers<void>()).promise;
  }

  /** Ends our side after what is queued, with trailers or without. */
  finish(stream: Stream, trailers: Uint8Array | undefined): void {
    if (stream.queue.length === 0) return this.#end(stream, trailers);
    stream.trailers = trailers;
    stream.endAfterQueue = true;
  }

  #end(stream: Stream, trailers: Uint8Array | undefined): void {
    if (trailers !== undefined) this.headers(stream.id, trailers, true);
    else this.output.add(frame(frameTypes.data, frameFlags.endStream, stream.id, new Uint8Array()));
    this.onEnded(stream);
  }

  /** Sends what waits, a frame of each stream in turn, as far as windows and the socket allow. */
  pump(): void {
    while (this.#ready.size > 0 && this.#window > 0 && this.output.backlog < backlogMax) {
      for (const stream of this.#ready) {
        this.#pumpOne(stream);
        if (this.#window <= 0 || this.output.backlog >= backlogMax) return;
      }
    }
  }

  #pumpOne(stream: Stream): void {
    const room = Math.min(stream.sendWindow, this.#window, this.frameMax, backlogMax);
    if (room <= 0) {
      this.#ready.delete(stream);
      return;
    }
    const bytes = Math.min(room, stream.queuedBytes);
    stream.sendWindow -= bytes;
    this.#window -= bytes;
    const { buffer, at } = this.output.reserve(frameHeaderBytes + bytes);
    take(stream, bytes, buffer, putFrameHeader(buffer, at, bytes, frameTypes.data, 0, stream.id));
    if (stream.queue.length > 0) return;
    this.#ready.delete(stream);
    stream.drained?.resolve();
    stream.drained = undefined;
    if (stream.endAfterQueue) this.#end(stream, stream.trailers);
  }
}

/** Moves so many bytes of the stream's queue into the buffer. */
function take(stream: Stream, bytes: number, buffer: Uint8Array, at: number): void {
  stream.queuedBytes -= bytes;
  let left = bytes, to = at, used = 0;
  while (left > 0) {
    const first = stream.queue[used]!;
    const part = first.length <= left ? first : first.subarray(0, left);
    buffer.set(part, to);
    to += part.length;
    left -= part.length;
    if (part === first) used++;
    else stream.queue[used] = first.subarray(part.length);
  }
  stream.queue.splice(0, used);
}

function putPrefix(into: Uint8Array, at: number, length: number): number {
  into[at] = 0;
  into[at + 1] = length >>> 24;
  into[at + 2] = length >>> 16;
  into[at + 3] = length >>> 8;
  into[at + 4] = length;
  return at + prefixBytes;
}
