/**
 * One call that the server answers: from its headers to its trailers.
 *
 * @module
 */
import { Failure, messageOf } from "../errors.ts";
import type { CallContext, Metadata, Peer } from "../rpc/context.ts";
import type { BoundMethod } from "../rpc/definition.ts";
import { type Status, statusCodes } from "../rpc/status.ts";
import { type Budget, callBytes, messageBytes } from "./budget.ts";
import type { Http2Connection } from "./connection.ts";
import { errorCodes } from "./frames.ts";
import { encodeHeaders } from "./hpack/encoder.ts";
import type { Field } from "./hpack/static_table.ts";
import { Inbox, type InboxEvents } from "./inbox.ts";
import { MessageAssembler } from "./messages.ts";
import { Refusal, statusOfCall } from "./refusal.ts";
import type { Stream, StreamEvents } from "./stream.ts";
import { encodeMessage } from "./text.ts";

/** What a call is counted as. */
export type CallType = "unary" | "client_stream" | "server_stream" | "bidi_stream";

/** Told of one call's life; all of it may be left out. */
export interface CallObserver {
  received?(): void;
  sent?(): void;
  /** The call has ended with this gRPC status code. */
  handled?(code: number): void;
}

/** What all calls of a connection have in common. */
export interface CallSettings {
  readonly budget: Budget;
  readonly messageBytesMax: number;
  readonly sendBytesMax: number;
  /** Called when the call has ended, in whatever way. */
  readonly done: (call: ServerCall) => void;
}

const contentType: Field = ["content-type", "application/grpc"];
const responseHeaders = encodeHeaders([[":status", "200"], contentType]);
const okTrailers = encodeHeaders([["grpc-status", "0"]]);

function trailersOf({ code, message }: Status): Field[] {
  return [
    ["grpc-status", String(code)],
    ...(message === "" ? [] : [["grpc-message", encodeMessage(message)] as const]),
  ];
}

/** Fields of a request that are no metadata. */
const reserved = new Set(["content-type", "te", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding"]);

/** See the module. It is the handler's context as well. */
export class ServerCall implements StreamEvents, CallContext, InboxEvents<unknown> {
  readonly #assembler: MessageAssembler;
  #metadata: Metadata | undefined;
  #abort: AbortController | undefined;
  #ended = false;
  #headersSent = false;
  #request: Uint8Array | undefined;
  #inbox: Inbox<unknown> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #responses: AsyncIterator<unknown> | undefined;
  /** The handler has begun and not ended. */
  #running = false;
  /** The call has ended before its handler. */
  #abandoned = false;
  /** What of the connection's budget the call has taken. */
  #held = 0;
  #heldPart = 0;
  /** Why the handler is to stop; kept for a signal that is made later. */
  #reason: unknown;
  /** When it came, on the clock of `performance.now`. */
  readonly began: number = performance.now();

  constructor(
    readonly method: BoundMethod,
    readonly path: string,
    readonly peer: Peer,
    private readonly connection: Http2Connection,
    private readonly stream: Stream,
    private readonly fields: readonly Field[],
    private readonly settings: CallSettings,
    private readonly observer: CallObserver | undefined,
  ) {
    this.#assembler = new MessageAssembler(settings.messageBytesMax);
    this.#hold(callBytes);
  }

  get metadata(): Metadata {
    if (this.#metadata !== undefined) return this.#metadata;
    const metadata = new Map<string, string>();
    for (const [name, value] of this.fields) {
      if (!name.startsWith(":") && !reserved.has(name) && !metadata.has(name)) metadata.set(name, value);
    }
    return this.#metadata = metadata;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#reason !== undefined) this.#abort.abort(this.#reason);
    }
    return this.#abort.signal;
  }

  /** Begins: a call whose requests are a stream is handled at once, another one when its request is there. */
  start(timeoutMs: number | undefined): void {
    if (timeoutMs !== undefined) {
      const late = () => this.stop(new Failure("DeadlineExceeded", "context deadline exceeded"));
      // Longer than a timer can wait is no limit.
      if (timeoutMs < 2 ** 31) this.#timer = setTimeout(late, timeoutMs);
    }
    if (!this.method.definition.requestStream) return;
    this.#inbox = new Inbox<unknown>(this);
    this.#handle(this.#inbox);
  }

  /** Fields after the headers are trailers; they end the requests. */
  onHeaders(): void {
    this.#requestsEnd();
  }

  onData(buffer: Uint8Array, from: number, to: number, end: boolean): void {
    if (this.#ended) return;
    try {
      this.#assembler.push(buffer, from, to, (message) => this.#message(message));
      this.#holdPart();
    } catch (error) {
      return this.#fail(error);
    }
    if (end) this.#requestsEnd();
    else if (this.#inbox === undefined || this.#inbox.empty) this.connection.credit(this.stream);
  }

  #message(bytes: Uint8Array): void {
    this.observer?.received?.();
    this.#hold(bytes.length + messageBytes);
    if (this.#inbox !== undefined) return this.#inbox.push(bytes);
    if (this.#request !== undefined) throw new Refusal("Internal", "grpc: more than one message in a unary request");
    this.#request = bytes;
  }

  #hold(bytes: number): void {
    this.settings.budget.take(bytes);
    this.#held += bytes;
  }

  /** Of a message that has begun, its memory counts from the start. */
  #holdPart(): void {
    const { held } = this.#assembler;
    if (held === this.#heldPart) return;
    const more = held - this.#heldPart;
    this.#heldPart = held;
    if (more > 0) this.#hold(more);
    else this.#release(-more);
  }

  #release(bytes: number): void {
    // What is taken after the call's end was given back then.
    if (this.#ended) return;
    this.#held -= bytes;
    this.settings.budget.give(bytes);
  }

  /** Decodes a request. Throws `Internal`. */
  decode(bytes: Uint8Array): unknown {
    try {
      return this.method.definition.requestType.decode(bytes);
    } catch (cause) {
      throw new Refusal("Internal", `grpc: error unmarshalling request: ${messageOf(cause)}`, { cause });
    }
  }

  /** The handler has taken a request. */
  onTaken(bytes: Uint8Array): void {
    this.#release(bytes.length + messageBytes);
    if (!this.#ended && this.#inbox?.empty === true) this.connection.credit(this.stream);
  }

  /** The handler wants no more requests. What comes is dropped, and the client may still wait for the answer. */
  onReturn(): void {
    this.connection.credit(this.stream);
  }

  #requestsEnd(): void {
    if (this.#ended) return;
    if (this.#assembler.partial) return this.#fail(new Refusal("Internal", "grpc: the request ends inside a message"));
    if (this.#inbox !== undefined) return this.#inbox.end();
    const bytes = this.#request;
    if (bytes === undefined) return this.#fail(new Refusal("Internal", "grpc: a unary request without a message"));
    this.#request = undefined;
    try {
      this.#handle(this.decode(bytes));
    } catch (error) {
      this.#fail(error);
    }
  }

  #handle(request: unknown): void {
    this.#running = true;
    let result: unknown;
    try {
      result = this.method.handler(request, this);
    } catch (error) {
      this.#returned();
      return this.#fail(error);
    }
    if (this.method.definition.responseStream) {
      // By the definition, the handler gives an iterable.
      void this.#sendAll(result as AsyncIterable<unknown>);
      return;
    }
    Promise.resolve(result).then((response) => {
      this.#returned();
      this.#respond(response);
    }, (error) => {
      this.#returned();
      this.#fail(error);
    });
  }

  #returned(): void {
    this.#running = false;
    if (this.#abandoned) this.settings.budget.settle();
  }

  /** Bytes of a response, which the connection has room for. Throws `Internal`, `ResourceExhausted`. */
  #encode(response: unknown): Uint8Array {
    if (response === undefined) throw new Refusal("Internal", `grpc: ${this.path} was handled without an answer`);
    let bytes: Uint8Array;
    try {
      bytes = this.method.definition.responseType.encode(response).finish();
    } catch (cause) {
      throw new Refusal("Internal", `grpc: error while marshaling: ${messageOf(cause)}`, { cause });
    }
    const max = this.settings.sendBytesMax;
    if (bytes.length > max) {
      const message = `grpc: trying to send message larger than max (${bytes.length} vs. ${max})`;
      throw new Refusal("ResourceExhausted", message);
    }
    return bytes;
  }

  /** Sends a message. Where it waits for the peer, its memory counts until it has gone. */
  #send(response: unknown): Promise<void> | undefined {
    const bytes = this.#encode(response);
    const { budget } = this.settings;
    // Counted before: a message cannot be taken back.
    const cost = callBytes + bytes.length;
    budget.take(cost);
    this.#sendHeaders();
    this.observer?.sent?.();
    const sent = this.connection.sendMessage(this.stream, bytes);
    if (sent === undefined) budget.give(cost);
    return sent?.then(() => budget.give(cost));
  }

  #respond(response: unknown): void {
    if (this.#ended) return;
    try {
      void this.#send(response);
    } catch (error) {
      return this.#fail(error);
    }
    this.#finish(okTrailers, 0);
  }

  async #sendAll(responses: AsyncIterable<unknown>): Promise<void> {
    try {
      const iterator = this.#responses = responses[Symbol.asyncIterator]();
      while (!this.#ended) {
        const { done, value } = await iterator.next();
        if (done === true) this.#responses = undefined;
        if (done === true || this.#ended) break;
        const full = this.#send(value);
        if (full !== undefined) await full;
      }
      this.#returned();
      if (this.#ended) return;
      this.#sendHeaders();
      this.#finish(okTrailers, 0);
    } catch (error) {
      this.#returned();
      this.#fail(error);
    }
  }

  #sendHeaders(): void {
    if (this.#headersSent) return;
    this.#headersSent = true;
    this.connection.sendHeaders(this.stream, responseHeaders, false);
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    const status = statusOfCall(error);
    const trailers = trailersOf(status);
    this.#end(status.code, error);
    if (this.#headersSent) return this.connection.finish(this.stream, encodeHeaders(trailers));
    this.connection.sendHeaders(this.stream, encodeHeaders([[":status", "200"], contentType, ...trailers]), true);
  }

  #finish(trailers: Uint8Array, code: number): void {
    this.#end(code, undefined);
    this.connection.finish(this.stream, trailers);
  }

  /** Ends the call with a failure: the deadline is over, or the server ends. */
  stop(reason: Failure): void {
    // Trailers would wait for a window that the client may never open.
    if (this.stream.queue.length === 0) return this.#fail(reason);
    this.#end(statusOfCall(reason).code, reason);
    this.connection.reset(this.stream, errorCodes.cancel);
  }

  onReset(): void {
    this.#end(statusCodes.Canceled, new DOMException("context canceled", "AbortError"));
  }

  #end(code: number, reason: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.settings.budget.give(this.#held);
    clearTimeout(this.#timer);
    if (reason !== undefined) {
      this.#reason = reason;
      this.#abandoned = this.#running;
      if (this.#abandoned) this.settings.budget.abandon();
      this.#abort?.abort(reason);
      this.#inbox?.fail(reason);
    }
    // Whoever makes the answers is told that nobody takes them; whether that fails is of no interest to anybody.
    this.#responses?.return?.().catch(() => {});
    this.observer?.handled?.(code);
    this.settings.done(this);
  }
}
