/**
 * One call that the server answers.
 *
 * @module
 */
import { Failure } from "../errors.ts";
import type { CallContext, Metadata, Peer } from "../rpc/context.ts";
import type { BoundMethod } from "../rpc/definition.ts";
import { statusOf } from "../rpc/status.ts";
import type { TtrpcConnection } from "./connection.ts";
import { encodeFailure, metadataOf, putResponse, type RequestEnvelope, responseBytes } from "./envelope.ts";
import { frameFlags, frameTypes } from "./frames.ts";
import { Inbox } from "./inbox.ts";

/** What a call is counted as. */
export type CallType = "unary" | "client_stream" | "server_stream" | "bidi_stream";

/** Told of one call's life; all of it may be left out. */
export interface CallObserver {
  received?(): void;
  sent?(): void;
  /** The call has ended with this status code; the numbers are gRPC's. */
  handled?(code: number): void;
}

/** What waits for a handler that does not read before the connection is not read any more. */
const inboxBytesMax = 8 << 20;
/** A timer cannot wait longer; a deadline beyond it is none. */
const timerMsMax = 2 ** 31;
const empty = new Uint8Array();

/** See the module. It is the handler's context as well. */
export class ServerCall implements CallContext {
  #metadata: Metadata | undefined;
  #abort: AbortController | undefined;
  /** Why the handler is to stop; kept for a signal that is made later. */
  #reason: unknown;
  #ended = false;
  #inbox: Inbox<unknown> | undefined;
  #requestsEnded = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When it came, on the clock of `performance.now`. */
  readonly began: number = performance.now();

  constructor(
    readonly method: BoundMethod,
    readonly path: string,
    readonly peer: Peer,
    private readonly connection: TtrpcConnection,
    private readonly stream: number,
    private readonly request: RequestEnvelope,
    private readonly observer: CallObserver | undefined,
    /** Called when the call has ended, in whatever way. */
    private readonly done: (call: ServerCall) => void,
  ) {}

  get metadata(): Metadata {
    return this.#metadata ??= metadataOf(this.request.metadata);
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#reason !== undefined) this.#abort.abort(this.#reason);
    }
    return this.#abort.signal;
  }

  /** Begins. `flags` are those of the request's frame. */
  start(flags: number): void {
    const { timeoutMs, payload } = this.request;
    if (timeoutMs !== undefined && timeoutMs < timerMsMax) {
      const late = () => this.stop(new Failure("DeadlineExceeded", "context deadline exceeded"));
      this.#timer = setTimeout(late, timeoutMs);
    }
    try {
      // Read now, so that a malformed pair is the caller's to hear of and not the handler's.
      if (this.request.metadata.length > 0) this.#metadata = metadataOf(this.request.metadata);
      if (!this.method.definition.requestStream) return this.#handle(this.#decode(payload));
      const inbox = this.#inbox = new Inbox<unknown>(() => {
        if (inbox.bytes <= inboxBytesMax / 2) this.connection.resume(this);
      }, () => {});
      if (payload.length > 0) this.#push(payload);
      if ((flags & frameFlags.remoteClosed) !== 0) this.#endRequests();
      this.#handle(inbox);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A frame of data for this call. */
  data(flags: number, body: Uint8Array): void {
    if (this.#ended) return;
    const closes = (flags & frameFlags.remoteClosed) !== 0;
    if (this.#inbox === undefined || this.#requestsEnded) {
      return this.#fail(new Failure("InvalidArgument", "data handling error: stream is closed"));
    }
    if (closes && body.length > 0) {
      return this.#fail(new Failure("InvalidArgument", "data close message cannot include data"));
    }
    try {
      if ((flags & frameFlags.noData) === 0) this.#push(body);
    } catch (error) {
      return this.#fail(error);
    }
    if (closes) this.#endRequests();
  }

  #push(bytes: Uint8Array): void {
    this.observer?.received?.();
    this.#inbox!.push(this.#decodeMessage(bytes), bytes.length);
    if (this.#inbox!.bytes > inboxBytesMax) this.connection.pause(this);
  }

  #endRequests(): void {
    this.#requestsEnded = true;
    this.#inbox!.end();
  }

  #decode(bytes: Uint8Array): unknown {
    this.observer?.received?.();
    return this.#decodeMessage(bytes);
  }

  #decodeMessage(bytes: Uint8Array): unknown {
    try {
      return this.method.definition.requestType.decode(bytes);
    } catch (error) {
      throw new Failure("InvalidArgument", `unmarshal request error: ${this.path}`, { cause: error });
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
    // By the definition, it gives a promise; then() also takes one of another kind.
    (result as Promise<unknown>).then((response) => this.#respond(response), (error) => this.#fail(error));
  }

  #encode(response: unknown): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = this.method.definition.responseType.encode(response).finish();
    } catch (error) {
      throw new Failure("Internal", `ttrpc: the answer of ${this.path} cannot be encoded`, { cause: error });
    }
    const length = responseBytes(bytes.length), max = this.connection.messageBytesMax;
    if (length > max) {
      throw new Failure("ResourceExhausted", `message length ${length} exceeds maximum message size of ${max}`);
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
    this.observer?.sent?.();
    const header = { length: responseBytes(bytes.length), stream: this.stream, type: frameTypes.response, flags: 0 };
    this.connection.send(header, (into, at) => putResponse(into, at, bytes));
    this.#end(0);
  }

  async #sendAll(responses: AsyncIterable<unknown>): Promise<void> {
    const { data } = frameTypes;
    try {
      for await (const response of responses) {
        if (this.#ended) break;
        const bytes = this.#encode(response);
        this.observer?.sent?.();
        const full = this.connection.sendBytes(this.stream, data, 0, bytes);
        if (full !== undefined) await full;
        if (this.#ended) break;
      }
      if (this.#ended) return;
      void this.connection.sendBytes(this.stream, data, frameFlags.remoteClosed | frameFlags.noData, empty);
      this.#end(0);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    const status = statusOf(error);
    void this.connection.sendBytes(this.stream, frameTypes.response, 0, encodeFailure(status));
    this.#end(status.code, error);
  }

  /** Ends the call with a failure: the deadline is over, the connection is lost, or the server ends. */
  stop(reason: unknown): void {
    this.#fail(reason);
  }

  #end(code: number, reason?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    if (reason !== undefined) {
      this.#reason = reason;
      this.#abort?.abort(reason);
      this.#inbox?.fail(reason);
    }
    // What it has not read must not keep the connection from being read.
    if (this.#inbox !== undefined) this.connection.resume(this);
    this.observer?.handled?.(code);
    this.done(this);
  }
}
