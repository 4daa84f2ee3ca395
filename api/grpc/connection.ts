/**
 * An HTTP/2 connection (RFC 9113), either side: reading and checking frames, windows, limits, orderly ends.
 *
 * @module
 */
import { messageOf } from "../errors.ts";
import type { Connection } from "../rpc/connection.ts";
import {
  ConnectionError,
  connectionLost,
  defaultWindow,
  errorCodes,
  frame,
  frameFlags,
  frameTypes,
  goAwayFrame,
  numberFrame,
  preface,
  settings,
  settingsFrame,
  uint32At,
  windowMax,
} from "./frames.ts";
import { HeaderDecoder } from "./hpack/decoder.ts";
import type { Field } from "./hpack/static_table.ts";
import { FloodGuard } from "./flood.ts";
import { KeepAlive } from "./keepalive.ts";
import { checkFrame, type HeaderBlock, HeaderBlocks, parseSettings, unpadded } from "./payload.ts";
import { ours } from "./limits.ts";
import { Output } from "./output.ts";
import { FrameReader } from "./reader.ts";
import { Sender } from "./sender.ts";
import { Stream, type StreamEvents } from "./stream.ts";
import { StreamTable } from "./stream_table.ts";

/** Of a client that reads nothing we take no more, while so much waits for it. */
const unheardMax = 1 << 20;
/** A peer that does not read our answers to its PINGs and SETTINGS gets no more of them. */
const unreadMax = 1 << 22;
/** Time for reading what is left of a connection that cannot be written to. */
const lastWordsMs = 100;

/** What the owner of a connection decides. */
export interface ConnectionEvents {
  /** A stream that the peer opened; undefined refuses it. */
  accept(stream: Stream, fields: readonly Field[] | undefined): StreamEvents | undefined;
  /** The peer said GOAWAY: streams above `lastStream` were not looked at. */
  goneAway(lastStream: number, code: number): void;
  /** A stream has ended on both sides. */
  ended(): void;
  /** The connection has ended; all streams were told before. */
  closed(): void;
}

/** See the module. `run` reads until the end. */
export class Http2Connection {
  readonly #blocks = new HeaderBlocks(
    new HeaderDecoder({ tableBytesMax: ours.headerTable, listBytesMax: ours.headerListMax }),
    ours.headerListMax,
  );
  readonly #streams: StreamTable;
  readonly #output: Output;
  readonly #flood = new FloodGuard();
  readonly #sender: Sender;
  readonly #reader: FrameReader;
  #receivedUncredited = 0;
  #state: "open" | "draining" | "closed" = "open";
  #settled = false;
  readonly #keepAlive = new KeepAlive();

  constructor(
    private readonly connection: Connection,
    private readonly role: "server" | "client",
    private readonly events: ConnectionEvents,
  ) {
    // An answer that waits for the acknowledgement of the frame before it takes 40 ms.
    connection.setNoDelay?.(true);
    this.#streams = new StreamTable(role);
    this.#output = new Output(connection, () => this.#pump(), () => this.#unwritable());
    this.#sender = new Sender(this.#output, (stream) => this.#closeLocal(stream));
    this.#reader = new FrameReader(connection, ours.frameMax);
    if (role === "client") this.#output.add(preface);
    this.#output.add(settingsFrame([
      ...(role === "client" ? [[settings.enablePush, 0]] as const : []),
      [settings.initialWindowSize, ours.streamWindow],
      [settings.maxFrameSize, ours.frameMax],
      [settings.maxHeaderListSize, ours.headerListMax],
    ]));
    this.#output.add(numberFrame(frameTypes.windowUpdate, 0, ours.connectionWindow - defaultWindow));
  }

  /** Streams that have not ended. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Whether the peer has said its first words: the preface, if it is the client, and SETTINGS. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Whether new streams can be opened. */
  get open(): boolean {
    return this.#state === "open";
  }

  /** Reads until the connection ends. Never throws. */
  async run(): Promise<void> {
    try {
      if (this.role === "server") await this.#reader.expect(preface);
      await this.#reader.run(
        (type, flags, stream, buffer, from, to) => this.#frame(type, flags, stream, buffer, from, to),
        // A client that takes no answers is not listened to. Only servers may do so, or both sides could wait.
        () => this.role === "server" ? this.#output.whenBelow(unheardMax) : undefined,
      );
    } catch (error) {
      await this.#refuse(error);
    }
    this.#end();
  }

  /** Says why, gives the peer a moment to read it, and ends. Any other error is a fault of ours, which is not hidden. */
  async #refuse(error: unknown): Promise<void> {
    if (this.#state === "closed") return;
    const code = error instanceof ConnectionError ? error.code : errorCodes.internalError;
    this.#output.add(goAwayFrame(this.#streams.lastOfPeer, code, messageOf(error)));
    this.#state = "draining";
    // Two turns: one for the write to begin, one for it to be taken.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** Ends the connection and its streams at once. */
  close(): void {
    this.#end();
  }

  /** The peer takes nothing any more. What it said last, such as GOAWAY, may still be there to be read. */
  #unwritable(): void {
    setTimeout(() => this.#end(), lastWordsMs);
  }

  #end(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    try {
      this.connection.close();
    } catch {
      // The peer was quicker.
    }
    this.#keepAlive.stop();
    for (const stream of this.#streams.values()) stream.abandon(connectionLost);
    this.#streams.clear();
    this.events.closed();
  }

  /** Says that no further stream is taken, and ends when those that are open have. */
  drain(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#output.add(goAwayFrame(this.#streams.lastOfPeer, errorCodes.noError, ""));
    this.#endIfDrained();
  }

  /**
   * The peer takes no streams after this one: those that were opened end, unseen by it. It may say so again, with a lower
   * number: RFC 9113 section 6.8 has the first one name the highest there is, when nobody knows yet which come.
   */
  leave(lastStream: number): void {
    if (this.#state === "closed") return;
    this.#state = "draining";
    for (const stream of [...this.#streams.values()]) {
      if (stream.id <= lastStream) continue;
      this.#forget(stream);
      stream.abandon(errorCodes.refusedStream);
    }
    this.#endIfDrained();
  }

  #endIfDrained(): void {
    if (this.#state !== "draining" || this.#streams.size > 0) return;
    if (this.#output.backlog === 0) this.#end();
  }

  #frame(type: number, flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    if (this.#state === "closed") return;
    const { unfinished } = this.#blocks;
    if (unfinished !== undefined && (type !== frameTypes.continuation || id !== unfinished)) {
      throw new ConnectionError(errorCodes.protocolError, "a header block was interrupted");
    }
    if (!this.#settled) {
      if (type !== frameTypes.settings || (flags & frameFlags.ack) !== 0) {
        throw new ConnectionError(errorCodes.protocolError, "the first frame is not SETTINGS");
      }
      this.#settled = true;
    }
    checkFrame(type, id, to - from);
    switch (type) {
      case frameTypes.data:
        return this.#onData(flags, id, buffer, from, to);
      case frameTypes.headers:
        return this.#onBlock(this.#blocks.headers(flags, id, buffer, from, to));
      case frameTypes.continuation:
        return this.#onContinuation(flags, buffer, from, to);
      case frameTypes.windowUpdate:
        return this.#onWindowUpdate(id, buffer, from);
      case frameTypes.rstStream:
        return this.#onReset(id, buffer, from);
      case frameTypes.settings:
        return this.#onSettings(flags, buffer, from, to);
      case frameTypes.ping:
        return this.#onPing(flags, buffer, from, to);
      case frameTypes.goAway:
        return this.events.goneAway(uint32At(buffer, from) & windowMax, uint32At(buffer, from + 4));
      case frameTypes.priority:
        return this.#flood.control();
      case frameTypes.pushPromise:
        throw new ConnectionError(errorCodes.protocolError, "PUSH_PROMISE was not allowed");
      default:
        // RFC 9113 section 4.1: frames of unknown types are ignored.
        return this.#flood.control();
    }
  }

  #onData(flags: number, id: number, buffer: Uint8Array, from: number, to: number): void {
    if (this.#streams.isIdle(id)) throw new ConnectionError(errorCodes.protocolError, `DATA on stream ${id}`);
    const bytes = to - from;
    const end = (flags & frameFlags.endStream) !== 0;
    if (bytes === 0 && !end) this.#flood.control();
    else this.#flood.useful();
    this.#receivedUncredited += bytes;
    if (this.#receivedUncredited > ours.connectionWindow) {
      throw new ConnectionError(errorCodes.flowControlError, "the connection's window is exceeded");
    }
    if (this.#receivedUncredited >= ours.connectionWindow >>> 2) {
      this.#output.add(numberFrame(frameTypes.windowUpdate, 0, this.#receivedUncredited));
      this.#receivedUncredited = 0;
    }
    const [dataFrom, dataTo] = unpadded(flags, buffer, from, to);
    const stream = this.#streams.get(id);
    // One that has ended here may still have been sent to.
    if (stream === undefined) return;
    if (stream.remoteClosed) return this.reset(stream, errorCodes.streamClosed);
    stream.receiveWindow -= bytes;
    if (stream.receiveWindow < 0) return this.reset(stream, errorCodes.flowControlError);
    stream.uncredited += bytes;
    stream.remoteClosed = end;
    stream.events?.onData(buffer, dataFrom, dataTo, end);
    if (end) this.#forgetIfEnded(stream);
  }

  /** Lets the peer send as much again as the stream's owner has taken. */
  credit(stream: Stream): void {
    if (stream.remoteClosed || stream.uncredited < ours.streamWindow >>> 2 || this.#state === "closed") return;
    this.#output.add(numberFrame(frameTypes.windowUpdate, stream.id, stream.uncredited));
    stream.receiveWindow += stream.uncredited;
    stream.uncredited = 0;
  }

  #onContinuation(flags: number, buffer: Uint8Array, from: number, to: number): void {
    if (from === to) this.#flood.control();
    this.#onBlock(this.#blocks.continuation(flags, buffer, from, to));
  }

  #onBlock(block: HeaderBlock | undefined): void {
    if (block !== undefined) this.#headers(block.stream, block.end, block.fields);
  }

  /** `fields` is undefined where they were too many. */
  #headers(id: number, end: boolean, fields: Field[] | undefined): void {
    this.#flood.useful();
    const stream = this.#streams.get(id);
    if (stream !== undefined) {
      if (stream.remoteClosed) return this.reset(stream, errorCodes.streamClosed);
      if (this.role === "server" && !end) return this.reset(stream, errorCodes.protocolError);
      if (fields === undefined) return this.reset(stream, errorCodes.enhanceYourCalm);
      stream.remoteClosed = end;
      stream.events?.onHeaders(fields, end);
      if (end) this.#forgetIfEnded(stream);
      return;
    }
    if (this.role === "client") {
      if (this.#streams.isIdle(id)) throw new ConnectionError(errorCodes.protocolError, `HEADERS on idle stream ${id}`);
      return;
    }
    if (id % 2 === 0) throw new ConnectionError(errorCodes.protocolError, `a client's stream has the number ${id}`);
    // A stream of ours that has ended: these are trailers that crossed our end.
    if (id <= this.#streams.lastOfPeer) return;
    this.#streams.lastOfPeer = id;
    if (this.#state !== "open") return this.#sendReset(id, errorCodes.refusedStream);
    const opened = new Stream(id, this.#sender.initialWindow, ours.streamWindow);
    opened.remoteClosed = end;
    this.#streams.add(opened);
    opened.events = this.events.accept(opened, fields);
    if (opened.events === undefined) return this.#forgetIfEnded(opened);
    if (end) opened.events.onData(empty, 0, 0, true);
    this.#forgetIfEnded(opened);
  }

  #onWindowUpdate(id: number, buffer: Uint8Array, from: number): void {
    const more = uint32At(buffer, from) & windowMax;
    if (id === 0) {
      if (more === 0) throw new ConnectionError(errorCodes.protocolError, "WINDOW_UPDATE of 0");
      if (!this.#sender.widen(more)) throw new ConnectionError(errorCodes.flowControlError, "window overflow");
      return this.#pump();
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      if (this.#streams.isIdle(id)) {
        throw new ConnectionError(errorCodes.protocolError, "WINDOW_UPDATE on an idle stream");
      }
      return this.#flood.control();
    }
    if (more === 0) return this.reset(stream, errorCodes.protocolError);
    if (!this.#sender.widenStream(stream, more)) return this.reset(stream, errorCodes.flowControlError);
    this.#pump();
  }

  #onReset(id: number, buffer: Uint8Array, from: number): void {
    if (this.#streams.isIdle(id)) throw new ConnectionError(errorCodes.protocolError, `RST_STREAM of stream ${id}`);
    const stream = this.#streams.get(id);
    if (this.role === "server") this.#flood.reset();
    if (stream === undefined) return this.#flood.control();
    this.#forget(stream);
    stream.abandon(uint32At(buffer, from));
  }

  #onSettings(flags: number, buffer: Uint8Array, from: number, to: number): void {
    this.#flood.control();
    if (flags & frameFlags.ack) {
      if (from !== to) throw new ConnectionError(errorCodes.frameSizeError, "an acknowledgement with SETTINGS");
      return;
    }
    this.#flood.settings();
    for (const [setting, value] of parseSettings(buffer, from, to)) {
      if (setting === settings.maxFrameSize) this.#sender.frameMax = value;
      else if (setting === settings.maxConcurrentStreams) this.#streams.allow(value);
      else if (setting === settings.initialWindowSize) {
        if (!this.#sender.setInitialWindow(value, this.#streams.values())) {
          throw new ConnectionError(errorCodes.flowControlError, "window overflow");
        }
      }
    }
    this.#checkUnread();
    this.#output.add(frame(frameTypes.settings, frameFlags.ack, 0, empty));
    this.#pump();
  }

  #onPing(flags: number, buffer: Uint8Array, from: number, to: number): void {
    this.#flood.control();
    if (flags & frameFlags.ack) return this.#keepAlive.answered();
    this.#checkUnread();
    this.#output.add(frame(frameTypes.ping, frameFlags.ack, 0, buffer.subarray(from, to)));
  }

  #checkUnread(): void {
    if (this.#output.backlog > unreadMax) {
      throw new ConnectionError(errorCodes.enhanceYourCalm, "answers are not read");
    }
  }

  /** Sends a PING in each interval; a peer that has not answered one in time is taken to be gone. */
  keepAlive(everyMs: number, answerMs: number): void {
    const ping = () => this.#output.add(frame(frameTypes.ping, 0, 0, new Uint8Array(8)));
    this.#keepAlive.start(everyMs, answerMs, ping, () => this.#end());
  }

  /** Whether the peer takes another stream now. */
  get hasRoom(): boolean {
    return this.#streams.hasRoom;
  }

  /** Resolves when that may have changed. */
  whenRoom(): Promise<void> {
    return this.#streams.whenRoom();
  }

  /** Opens a stream of ours with these header fields. `end`: nothing follows. */
  openStream(block: Uint8Array, end: boolean, events: StreamEvents): Stream {
    const stream = new Stream(this.#streams.nextNumber(), this.#sender.initialWindow, ours.streamWindow);
    if (this.#streams.exhausted) this.#state = "draining";
    stream.events = events;
    this.#streams.add(stream);
    this.sendHeaders(stream, block, end);
    return stream;
  }

  /** Sends a header block now. To be used before any message of the stream; `end`: nothing follows. */
  sendHeaders(stream: Stream, block: Uint8Array, end: boolean): void {
    if (stream.localClosed || this.#state === "closed") return;
    this.#sender.headers(stream.id, block, end);
    if (end) this.#closeLocal(stream);
  }

  /**
   * Sends a gRPC message: a prefix of five bytes and the message, which belongs to the stream from then on. Gives a
   * promise where the caller should wait before it sends more.
   */
  sendMessage(stream: Stream, message: Uint8Array): Promise<void> | undefined {
    if (stream.localClosed || this.#state === "closed") return undefined;
    return this.#sender.message(stream, message);
  }

  /** Ends our side of the stream after its messages: with trailers, or, as a client does, without. */
  finish(stream: Stream, trailers: Uint8Array | undefined): void {
    if (stream.localClosed || this.#state === "closed") return;
    this.#sender.finish(stream, trailers);
  }

  #closeLocal(stream: Stream): void {
    stream.localClosed = true;
    // The client need not send the rest of a request that is answered: RFC 9113 section 8.1.
    if (this.role === "server" && !stream.remoteClosed) {
      this.#sendReset(stream.id, errorCodes.noError);
      stream.remoteClosed = true;
    }
    this.#forgetIfEnded(stream);
  }

  /** Ends a stream at once, and tells its owner. */
  reset(stream: Stream, code: number): void {
    if (!this.#streams.has(stream)) return;
    this.#sendReset(stream.id, code);
    this.#forget(stream);
    stream.abandon(code);
  }

  #sendReset(id: number, code: number): void {
    this.#output.add(numberFrame(frameTypes.rstStream, id, code));
  }

  #pump(): void {
    if (this.#state === "closed") return;
    this.#sender.pump();
    this.#endIfDrained();
  }

  #forgetIfEnded(stream: Stream): void {
    if (stream.localClosed && stream.remoteClosed) this.#forget(stream);
  }

  #forget(stream: Stream): void {
    if (!this.#streams.delete(stream)) return;
    this.#sender.forget(stream);
    this.events.ended();
    this.#endIfDrained();
  }
}

const empty = new Uint8Array();
