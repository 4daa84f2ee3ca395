/**
 * One call that the client makes.
 *
 * @module
 */
import { Failure, messageOf } from "../errors.ts";
import type { MethodDefinition } from "../rpc/definition.ts";
import { failureOf } from "../rpc/status.ts";
import type { TtrpcConnection } from "./connection.ts";
import { decodeResponse, type ResponseEnvelope } from "./envelope.ts";
import { frameFlags, frameTypes } from "./frames.ts";
import { Inbox } from "./inbox.ts";

/** What waits for a caller that does not read before the connection is not read any more. */
const inboxBytesMax = 8 << 20;
const empty = new Uint8Array();

/** See the module. Responses come out of {@link inbox}, which fails with a `Failure` where the call did. */
export class ClientCall {
  readonly inbox: Inbox<unknown>;
  #ended = false;

  constructor(
    private readonly method: MethodDefinition,
    private readonly connection: TtrpcConnection,
    private readonly stream: number,
    private readonly onEnd: () => void,
  ) {
    const taken = () => {
      if (this.inbox.bytes <= inboxBytesMax / 2) connection.resume(this);
    };
    this.inbox = new Inbox<unknown>(taken, () => this.cancel(new Failure("Canceled", "context canceled")));
  }

  /** Sends requests as they come. */
  async sendAll(requests: AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const request of requests) {
        if (this.#ended) return;
        const bytes = this.method.requestType.encode(request).finish();
        const max = this.connection.messageBytesMax;
        if (bytes.length > max) throw tooLong(bytes.length, max);
        const full = this.connection.sendBytes(this.stream, frameTypes.data, 0, bytes);
        if (full !== undefined) await full;
        if (this.#ended) return;
      }
      const flags = frameFlags.remoteClosed | frameFlags.noData;
      void this.connection.sendBytes(this.stream, frameTypes.data, flags, empty);
    } catch (error) {
      this.cancel(error);
    }
  }

  /** A frame for this call. */
  frame(type: number, flags: number, body: Uint8Array): void {
    if (this.#ended) return;
    if (type === frameTypes.response) return this.#response(body);
    if (type !== frameTypes.data) return;
    if (!this.method.responseStream) {
      return this.cancel(new Failure("Internal", "ttrpc: data in answer to a call that has one response"));
    }
    if ((flags & frameFlags.noData) === 0) this.#push(body);
    if ((flags & frameFlags.remoteClosed) !== 0) this.#end(undefined);
  }

  #response(body: Uint8Array): void {
    let response: ResponseEnvelope;
    try {
      response = decodeResponse(body);
    } catch (error) {
      return this.#end(new Failure("Internal", `ttrpc: malformed response: ${messageOf(error)}`, { cause: error }));
    }
    if (response.status.code !== 0) return this.#end(failureOf(response.status));
    // At the end of a stream, a response is the status only.
    if (!this.method.responseStream) this.#push(response.payload);
    this.#end(undefined);
  }

  #push(bytes: Uint8Array): void {
    let message: unknown;
    try {
      message = this.method.responseType.decode(bytes);
    } catch (error) {
      const text = `ttrpc: failed to unmarshal the answer of ${this.method.name}: ${messageOf(error)}`;
      return this.cancel(new Failure("Internal", text, { cause: error }));
    }
    this.inbox.push(message, bytes.length);
    if (this.inbox.bytes > inboxBytesMax) this.connection.pause(this);
  }

  /** The server would take no such frame from us, or does not take ours. */
  refuse(failure: Failure): void {
    this.#end(failure);
  }

  /**
   * Gives the call up. ttrpc has no word for that, and the server hears nothing: Go's (1.2.7) dies of a frame for a
   * stream that it has just ended. Its handler goes on until its deadline or the end of the connection.
   */
  cancel(reason: unknown): void {
    this.#end(reason);
  }

  #end(failure: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    if (failure === undefined) this.inbox.end();
    else this.inbox.fail(failure);
    // What was said no longer keeps the connection from being read: nothing more comes for this call.
    this.connection.resume(this);
    this.onEnd();
  }
}

/** A message of ours that is over the limit. */
export function tooLong(length: number, max: number): Failure {
  return new Failure("ResourceExhausted", `message length ${length} exceeds maximum message size of ${max}`);
}
