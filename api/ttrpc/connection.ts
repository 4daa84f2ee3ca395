/**
 * One ttrpc connection, as both sides have it: frames in, frames out.
 *
 * @module
 */
import type { Connection } from "../rpc/connection.ts";
import { type FrameHeader, frameHeaderAt, frameHeaderBytes, putFrameHeader } from "./frames.ts";
import { Output } from "./output.ts";

/** What a side does with what comes. */
export interface ConnectionEvents {
  /** A frame with its data, which is its own copy. */
  frame(header: FrameHeader, body: Uint8Array): void;
  /** A frame whose data is over the limit and was thrown away. */
  oversized(header: FrameHeader): void;
  /** Called once: nothing comes or goes any more. */
  closed(): void;
}

const idleBytes = 4096;
/** A buffer that was made larger is given up again when it is empty. */
const keptBytesMax = 1 << 16;
/** Less room than this at the end of the buffer is not worth a read. */
const roomMin = 512;
/** Who streams waits while more than this is not yet written. */
const backlogMax = 1 << 20;

/** See the module. */
export class TtrpcConnection {
  readonly #output: Output;
  readonly #paused = new Set<object>();
  #resume: PromiseWithResolvers<void> | undefined;
  #open = true;

  constructor(
    private readonly socket: Connection,
    private readonly events: ConnectionEvents,
    /** Bytes of data in one frame, for both directions. */
    readonly messageBytesMax: number,
  ) {
    this.#output = new Output(socket, () => this.close());
  }

  /** Whether frames still go out. */
  get open(): boolean {
    return this.#open;
  }

  /** Resolved when all that was sent is written, or will never be. */
  get drained(): Promise<void> {
    return this.#output.drained;
  }

  /** Sends a frame whose data `put` writes. Larger ones than the limit are the caller's to refuse. */
  send(header: FrameHeader, put: (into: Uint8Array, at: number) => void): void {
    if (!this.#open) return;
    const { buffer, at } = this.#output.reserve(frameHeaderBytes + header.length);
    put(buffer, putFrameHeader(buffer, at, header));
  }

  /** As {@link send}, of bytes. Gives a promise where the caller should wait before it sends more. */
  sendBytes(stream: number, type: number, flags: number, data: Uint8Array): Promise<void> | undefined {
    this.send({ length: data.length, stream, type, flags }, (into, at) => into.set(data, at));
    return this.#output.backlog > backlogMax ? this.#output.drained : undefined;
  }

  /** Reads no further frames until {@link resume} of the same: one stream is too full, and ttrpc has no windows. */
  pause(who: object): void {
    this.#paused.add(who);
    this.#resume ??= Promise.withResolvers();
  }

  /** See {@link pause}. */
  resume(who: object): void {
    if (!this.#paused.delete(who) || this.#paused.size > 0) return;
    this.#resume?.resolve();
    this.#resume = undefined;
  }

  /** Reads until the end. */
  async run(): Promise<void> {
    try {
      await this.#read();
    } catch {
      // A connection that fails has ended, whatever the reason: the peer is gone, or has told nonsense.
    } finally {
      this.close();
    }
  }

  async #read(): Promise<void> {
    let buffer = new Uint8Array(idleBytes);
    let start = 0, end = 0;
    /** Bytes of a frame over the limit that are still to come. */
    let discarded = 0;
    while (this.#open) {
      while (end - start >= frameHeaderBytes && this.#open) {
        const header = frameHeaderAt(buffer, start);
        const body = start + frameHeaderBytes;
        if (header.length > this.messageBytesMax) {
          const here = Math.min(header.length, end - body);
          discarded = header.length - here;
          start = body + here;
          this.events.oversized(header);
          continue;
        }
        if (end < body + header.length) break;
        start = body + header.length;
        this.events.frame(header, buffer.slice(body, start));
        if (this.#resume !== undefined) await this.#resume.promise;
      }
      if (start === end) {
        start = end = 0;
        if (buffer.length > keptBytesMax) buffer = new Uint8Array(idleBytes);
      } else if (buffer.length - end < roomMin) {
        // Room comes with the bytes: a header that announces much costs nothing.
        const larger = start > buffer.length / 2 ? buffer : new Uint8Array(buffer.length * 2);
        larger.set(buffer.subarray(start, end));
        buffer = larger;
        end -= start;
        start = 0;
      }
      const count = await this.socket.read(buffer.subarray(end));
      if (count === null) return;
      const passed = Math.min(discarded, count);
      discarded -= passed;
      if (passed > 0) buffer.copyWithin(end, end + passed, end + count);
      end += count - passed;
    }
  }

  /** Ends it at once, in both directions. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#resume?.resolve();
    try {
      this.socket.close();
    } catch (error) {
      // The other end may have closed it within this very turn.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    this.events.closed();
  }
}
