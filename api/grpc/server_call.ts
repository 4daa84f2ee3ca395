/**
 * One call that the server answers: from its headers to its trailers.
 *
 * @module
 */
import { Failure } from "../errors.ts";
import type { CallContext, Metadata, Peer } from "../rpc/context.ts";
import type { BoundMethod } from "../rpc/definition.ts";
import { type Status, statusOf } from "../rpc/status.ts";
import type { Http2Connection } from "./connection.ts";
import { encodeHeaders } from "./hpack/encoder.ts";
import type { Field } from "./hpack/static_table.ts";
import { Inbox } from "./inbox.ts";
import { MessageAssembler } from "./messages.ts";
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

/** What all calls of a server have in common. */
export interface CallSettings {
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
export class ServerCall implements StreamEvents, CallContext {
  readonly #assembler: MessageAssembler;
  #metadata: Metadata | undefined;
  #abort: AbortController | undefined;
  #ended = false;
  #headersSent = false;
  #request: Uint8Array | undefined;
  #inbox: Inbox<unknown> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
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
    const inbox = this.#inbox = new Inbox<unknown>(() => this.connection.credit(this.stream), () => {});
    this.#handle(inbox);
  }

  /** Fields after the headers are trailers; they end the requests. */
  onHeaders(): void {
    this.#requestsEnd();
  }

  onData(buffer: Uint8Array, from: number, to: number, end: boolean): void {
    if (this.#ended) return;
    try {
      this.#assembler.push(buffer, from, to, (message) => this.#message(message));
      if (end && this.#assembler.partial) throw new Failure("Internal", "grpc: the request ends inside a message");
    } catch (error) {
      return this.#fail(error);
    }
    if (end) this.#requestsEnd();
    else if (this.#inbox === undefined || this.#inbox.empty) this.connection.credit(this.stream);
  }

  #message(bytes: Uint8Array): void {
    this.observer?.received?.();
    if (this.#inbox !== undefined) return this.#inbox.push(this.#decode(bytes));
    if (this.#request !== undefined) throw new Failure("Internal", "grpc: more than one message in a unary request");
    this.#request = bytes;
  }

  #decode(bytes: Uint8Array): unknown {
    try {
      return this.method.definition.requestType.decode(bytes);
    } catch (error) {
      throw new Failure("Internal", "grpc: failed to unmarshal the received message", { cause: error });
    }
  }

  #requestsEnd(): void {
    if (this.#ended) return;
    if (this.#inbox !== undefined) return this.#inbox.end();
    if (this.#request === undefined) {
      return this.#fail(new Failure("Internal", "grpc: a unary request without a message"));
    }
    try {
      this.#handle(this.#decode(this.#request));
    } catch (error) {
      this.#fail(error);
    }
  }

  #handle(request: unknown): void {
    let result: unknown;
    try {
      result = this.method.handler(request, this);
    } catch (error) {
      return this.#fail(error);
    }
    if (this.method.definition.responseStream) {
      // By the definition, the handler gives an iterable.
      void this.#sendAll(result as AsyncIterable<unknown>);
      return;
    }
    Promise.resolve(result).then((response) => this.#respond(response), (error) => this.#fail(error));
  }

  #encode(response: unknown): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = this.method.definition.responseType.encode(response).finish();
    } catch (error) {
      throw new Failure("Internal", `grpc: the answer of ${this.path} cannot be encoded`, { cause: error });
    }
    const max = this.settings.sendBytesMax;
    if (bytes.length > max) {
      throw new Failure("ResourceExhausted", `trying to send message larger than max (${bytes.length} vs. ${max})`);
    }
    return bytes;
  }

  #respond(response: unknown): void {
    if (this.#ended) return;
    let bytes: Uint8Array;
    try {
      bytes = this.#encode(response);
    } catch (error) {
      return this.#fail(error);
    }
    this.#sendHeaders();
    this.observer?.sent?.();
    void this.connection.sendMessage(this.stream, bytes);
    this.#finish(okTrailers, 0);
  }

  async #sendAll(responses: AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const response of responses) {
        if (this.#ended) break;
        const bytes = this.#encode(response);
        this.#sendHeaders();
        this.observer?.sent?.();
        const full = this.connection.sendMessage(this.stream, bytes);
        if (full !== undefined) await full;
        if (this.#ended) break;
      }
      if (this.#ended) return;
      this.#sendHeaders();
      this.#finish(okTrailers, 0);
    } catch (error) {
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
    const status = statusOf(error);
    const trailers = trailersOf(status);
    if (this.#headersSent) return this.#finish(encodeHeaders(trailers), status.code);
    this.#end(status.code, error);
    this.connection.sendHeaders(this.stream, encodeHeaders([[":status", "200"], contentType, ...trailers]), true);
  }

  #finish(trailers: Uint8Array, code: number): void {
    this.#end(code, undefined);
    this.connection.finish(this.stream, trailers);
  }

  /** Ends the call with a failure: the deadline is over, or the server ends. */
  stop(reason: Failure): void {
    this.#fail(reason);
  }

  onReset(): void {
    this.#end(1, new DOMException("context canceled", "AbortError"));
  }

  #end(code: number, reason: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    if (reason !== undefined) {
      this.#reason = reason;
      this.#abort?.abort(reason);
      this.#inbox?.fail(reason);
    }
    this.observer?.handled?.(code);
    this.settings.done(this);
  }
}
