/**
 * One HTTP/2 stream, as its connection keeps it.
 *
 * @module
 */
import type { Field } from "./hpack/static_table.ts";

/** What a stream's owner is told. None of these may throw. */
export interface StreamEvents {
  /** Header fields, or trailers; `end`: the peer sends nothing more. */
  onHeaders(fields: readonly Field[], end: boolean): void;
  /** Bytes `from` to `to` of the buffer, which is another's after the call. */
  onData(buffer: Uint8Array, from: number, to: number, end: boolean): void;
  /** The peer, the connection's end or a broken rule ended the stream. */
  onReset(code: number): void;
}

/** State of a stream. Most of its methods are those of the connection. */
export class Stream {
  events: StreamEvents | undefined;
  /** The peer has ended its side. */
  remoteClosed = false;
  /** We have ended ours, or will when the queue is empty. */
  localClosed = false;
  /** What waits for the peer's window. */
  readonly queue: Uint8Array[] = [];
  queuedBytes = 0;
  /** The header block that goes after the queue and ends our side. */
  trailers: Uint8Array | undefined;
  /** Ends our side after the queue, without trailers. */
  endAfterQueue = false;
  /** Bytes of {@link receiveWindow} that were used and not given back. */
  uncredited = 0;
  /** Resolved when the queue is empty, or the stream has ended. */
  drained: PromiseWithResolvers<void> | undefined;

  constructor(readonly id: number, public sendWindow: number, public receiveWindow: number) {}

  /** Ends both sides at once, drops what waits, and tells the owner. */
  abandon(code: number): void {
    this.localClosed = this.remoteClosed = true;
    this.queue.length = 0;
    this.drained?.resolve();
    const { events } = this;
    this.events = undefined;
    events?.onReset(code);
  }
}
