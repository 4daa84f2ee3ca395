/**
 * One call that the client makes: from its headers to the server's trailers.
 *
 * @module
 */
import { Failure } from "../errors.ts";
import { failureOf } from "../rpc/status.ts";
import type { MethodDefinition } from "../rpc/definition.ts";
import type { Http2Connection } from "./connection.ts";
import { errorCodes } from "./frames.ts";
import type { Field } from "./hpack/static_table.ts";
import { Inbox } from "./inbox.ts";
import { MessageAssembler } from "./messages.ts";
import type { Stream, StreamEvents } from "./stream.ts";
import { decodeMessage } from "./text.ts";

/** What HTTP statuses without a gRPC status stand for. */
const httpStatuses: Readonly<Record<string, number>> = { "400": 13, "401": 16, "403": 7, "404": 12, "429": 14 };

/** See the module. Responses come out of {@link inbox}, which fails with a `Failure` where the call did. */
export class ClientCall implements StreamEvents {
  readonly inbox: Inbox<unknown>;
  readonly #assembler: MessageAssembler;
  #stream: Stream | undefined;
  #ended = false;
  /** The server has not looked at the call: it can be made again. */
  refused = false;
  #sawHeaders = false;

  constructor(
    private readonly method: MethodDefinition,
    private readonly connection: Http2Connection,
    messageBytesMax: number,
    private readonly onEnd: () => void,
  ) {
    this.#assembler = new MessageAssembler(messageBytesMax);
    const credit = () => {
      if (this.#stream !== undefined) connection.credit(this.#stream);
    };
    this.inbox = new Inbox<unknown>(credit, () => this.cancel(new Failure("Canceled", "context canceled")));
  }

  /** Sends the headers and the one request. */
  startUnary(block: Uint8Array, request: Uint8Array): void {
    const stream = this.#stream = this.connection.openStream(block, false, this);
    void this.connection.sendMessage(stream, request);
    this.connection.finish(stream, undefined);
  }

  /** Sends the headers, and requests as they come. */
  async startStream(block: Uint8Array, requests: AsyncIterable<unknown>): Promise<void> {
    const stream = this.#stream = this.connection.openStream(block, false, this);
    try {
      for await (const request of requests) {
        if (this.#ended) return;
        await this.connection.sendMessage(stream, this.method.requestType.encode(request).finish());
        if (this.#ended) return;
      }
      this.connection.finish(stream, undefined);
    } catch (error) {
      this.cancel(error);
    }
  }

  onHeaders(fields: readonly Field[], end: boolean): void {
    const first = !this.#sawHeaders;
    this.#sawHeaders = true;
    const valueOf = (name: string) => fields.find(([field]) => field === name)?.[1];
    const status = valueOf("grpc-status");
    if (status !== undefined && end) {
      const code = Number(status);
      if (code === 0) return this.#end(undefined);
      return this.#end(failureOf({ code, message: decodeMessage(valueOf("grpc-message") ?? "") }));
    }
    const http = first ? valueOf(":status") : undefined;
    if (http !== undefined && http !== "200") {
      const code = httpStatuses[http] ?? (/^50[234]$/.test(http) ? 14 : 2);
      return this.#end(failureOf({ code, message: `unexpected HTTP status code received from server: ${http}` }));
    }
    if (end) this.#end(new Failure("Internal", "server closed the stream without sending trailers"));
  }

  onData(buffer: Uint8Array, from: number, to: number, end: boolean): void {
    if (this.#ended) return;
    try {
      this.#assembler.push(buffer, from, to, (bytes) => this.inbox.push(this.method.responseType.decode(bytes)));
    } catch (error) {
      return this.cancel(error);
    }
    if (end) this.#end(new Failure("Internal", "server closed the stream without sending trailers"));
    else if (this.inbox.empty && this.#stream !== undefined) this.connection.credit(this.#stream);
  }

  onReset(code: number): void {
    this.refused = code === errorCodes.refusedStream;
    const reason = this.refused
      ? "the server takes no more calls"
      : code === errorCodes.enhanceYourCalm
      ? "the server asks for calm"
      : `the stream was ended with code ${code} or its connection was lost`;
    this.#end(new Failure(code === errorCodes.enhanceYourCalm ? "ResourceExhausted" : "Unavailable", reason));
  }

  /** Gives the call up. */
  cancel(reason: unknown): void {
    if (this.#ended) return;
    this.#end(reason);
    if (this.#stream !== undefined) this.connection.reset(this.#stream, errorCodes.cancel);
  }

  #end(failure: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    if (failure === undefined) this.inbox.end();
    else this.inbox.fail(failure);
    this.onEnd();
  }
}
