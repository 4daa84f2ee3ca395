/**
 * One call that the client makes: from its headers to the server's trailers.
 *
 * @module
 */
import { Failure, messageOf } from "../errors.ts";
import type { CallOptions, MethodDefinition } from "../rpc/definition.ts";
import type { Http2Connection } from "./connection.ts";
import { errorCodes } from "./frames.ts";
import type { Field } from "./hpack/static_table.ts";
import { Inbox, type InboxEvents } from "./inbox.ts";
import { MessageAssembler } from "./messages.ts";
import { failureOfReset, outcomeOf } from "./response_head.ts";
import type { Stream, StreamEvents } from "./stream.ts";

/** A call that a server refuses because it ends is made again on the next connection. */
const attemptsMax = 4;

/** What a call needs of its channel. */
export interface CallHost {
  readonly messageBytesMax: number;
  /** Begins the call on a connection, by {@link ClientCall.attempt}, or ends it. */
  begin(call: ClientCall): void;
}

/** What a call sends: one message, or messages as they come. */
export type Requests = Uint8Array | AsyncIterable<unknown>;

/** See the module. */
export class ClientCall implements StreamEvents, InboxEvents<unknown> {
  /** The one response, of a method that has one. */
  readonly answer: PromiseWithResolvers<unknown> | undefined;
  /** The responses, of a method that has many. */
  readonly inbox: Inbox<unknown> | undefined;
  #assembler: MessageAssembler;
  #response: Uint8Array | undefined;
  #connection: Http2Connection | undefined;
  #stream: Stream | undefined;
  #iterator: AsyncIterator<unknown> | undefined;
  #attempts = 0;
  #ended = false;
  #sawHeaders = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #onAbort: (() => void) | undefined;

  constructor(
    private readonly method: MethodDefinition,
    private readonly block: Uint8Array,
    private readonly requests: Requests,
    private readonly host: CallHost,
    private readonly options: CallOptions,
  ) {
    this.#assembler = new MessageAssembler(host.messageBytesMax);
    if (method.responseStream) this.inbox = new Inbox<unknown>(this);
    else this.answer = Promise.withResolvers();
    const { signal, timeoutMs } = options;
    if (timeoutMs !== undefined && timeoutMs < 2 ** 31) {
      const late = () => this.cancel(new Failure("DeadlineExceeded", "context deadline exceeded"));
      this.#timer = setTimeout(late, timeoutMs);
    }
    if (signal === undefined) return;
    this.#onAbort = () => this.cancel(signal.reason);
    signal.addEventListener("abort", this.#onAbort);
    if (signal.aborted) this.#onAbort();
  }

  /** Whether its outcome is known. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Sends the call over a connection that takes streams. */
  attempt(connection: Http2Connection): void {
    if (this.#ended) return;
    this.#attempts++;
    this.#connection = connection;
    const stream = this.#stream = connection.openStream(this.block, false, this);
    if (!(this.requests instanceof Uint8Array)) return void this.#sendAll(connection, stream, this.requests);
    void connection.sendMessage(stream, this.requests);
    connection.finish(stream, undefined);
  }

  async #sendAll(connection: Http2Connection, stream: Stream, requests: AsyncIterable<unknown>): Promise<void> {
    try {
      const iterator = this.#iterator = requests[Symbol.asyncIterator]();
      while (!this.#ended) {
        const { done, value } = await iterator.next();
        if (done === true) this.#iterator = undefined;
        if (done === true || this.#ended) break;
        await connection.sendMessage(stream, encodeRequest(this.method, value));
      }
      if (!this.#ended) connection.finish(stream, undefined);
    } catch (error) {
      this.#iterator = undefined;
      this.cancel(error);
    }
  }

  onHeaders(fields: readonly Field[], end: boolean): void {
    const first = !this.#sawHeaders;
    const outcome = outcomeOf(fields, first, end);
    // An informational answer comes before the real one.
    if (outcome === "early") return;
    this.#sawHeaders = true;
    if (outcome === "ok" && this.#assembler.partial) {
      this.#end(new Failure("Internal", "the answer ends inside a message"));
    } else if (outcome === "ok") this.#end(undefined);
    else if (outcome !== "more") this.#end(outcome);
  }

  onData(buffer: Uint8Array, from: number, to: number, end: boolean): void {
    if (this.#ended) return;
    try {
      this.#assembler.push(buffer, from, to, (bytes) => this.#message(bytes));
    } catch (error) {
      return this.cancel(error);
    }
    if (end) this.#end(new Failure("Internal", "server closed the stream without sending trailers"));
    else if (this.inbox === undefined || this.inbox.empty) this.#credit();
  }

  #message(bytes: Uint8Array): void {
    if (!this.#sawHeaders) throw new Failure("Internal", "the server sent a message before its headers");
    if (this.inbox !== undefined) return this.inbox.push(bytes);
    if (this.#response !== undefined) throw new Failure("Internal", "more than one answer to a unary call");
    this.#response = bytes;
  }

  #credit(): void {
    if (this.#stream !== undefined && !this.#ended) this.#connection?.credit(this.#stream);
  }

  /** Decodes a response. Throws `Internal`. */
  decode(bytes: Uint8Array): unknown {
    try {
      return this.method.responseType.decode(bytes);
    } catch (cause) {
      const failure = new Failure("Internal", `grpc: failed to unmarshal the received message: ${messageOf(cause)}`, {
        cause,
      });
      this.cancel(failure);
      throw failure;
    }
  }

  /** The reader has taken a response. */
  onTaken(): void {
    if (this.inbox?.empty === true) this.#credit();
  }

  /** The reader wants no more. */
  onReturn(): void {
    this.cancel(new Failure("Canceled", "context canceled"));
  }

  onReset(code: number): void {
    this.#stream = undefined;
    const again = code === errorCodes.refusedStream && this.requests instanceof Uint8Array && !this.#sawHeaders &&
      this.#attempts < attemptsMax;
    if (!again || this.#ended) return this.#end(failureOfReset(code));
    this.#assembler = new MessageAssembler(this.host.messageBytesMax);
    this.host.begin(this);
  }

  /** Ends the call with this reason; the server is told. */
  cancel(reason: unknown): void {
    this.#end(reason);
  }

  #end(failure: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    if (this.#onAbort !== undefined) this.options.signal?.removeEventListener("abort", this.#onAbort);
    if (this.inbox !== undefined) {
      if (failure === undefined) this.inbox.end();
      else this.inbox.fail(failure);
    } else this.#resolve(failure);
    // Whoever makes the requests is told that nobody takes them; whether that fails is of no interest to anybody.
    this.#iterator?.return?.().catch(() => {});
    const stream = this.#stream;
    if (stream === undefined || (stream.localClosed && stream.remoteClosed)) return;
    // The server may have answered before it had all requests: what is left of the stream goes.
    this.#connection?.reset(stream, errorCodes.cancel);
  }

  #resolve(failure: unknown): void {
    if (failure !== undefined) return this.answer?.reject(failure);
    if (this.#response === undefined) {
      return this.answer?.reject(new Failure("Internal", "the server ended a unary call without an answer"));
    }
    try {
      this.answer?.resolve(this.decode(this.#response));
    } catch (error) {
      this.answer?.reject(error);
    }
  }
}

/** Bytes of a request. Throws `Internal`. */
export function encodeRequest(method: MethodDefinition, request: unknown): Uint8Array {
  try {
    return method.requestType.encode(request).finish();
  } catch (cause) {
    throw new Failure("Internal", `grpc: error while marshaling: ${messageOf(cause)}`, { cause });
  }
}
