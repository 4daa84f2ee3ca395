/**
 * The gRPC client: calls over one connection, which is made when it is needed and again when it was lost.
 *
 * @module
 */
import { Failure } from "../errors.ts";
import type { Connection } from "../rpc/connection.ts";
import type { CallOptions, ClientOf, MethodDefinition, ServiceDefinition } from "../rpc/definition.ts";
import { ClientCall } from "./client_call.ts";
import { Http2Connection } from "./connection.ts";
import { encodeHeaders } from "./hpack/encoder.ts";
import type { Field } from "./hpack/static_table.ts";
import { formatTimeout } from "./text.ts";

/** Options of {@link connect}. */
export interface ChannelOptions {
  /** Opens the socket. */
  readonly open: () => Promise<Connection>;
  /** Sent with every call. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Bytes of one message that the server sends. Default: 16 MiB. */
  readonly messageBytesMax?: number;
  /** `:authority` of the calls. Default: `localhost`, as for sockets. */
  readonly authority?: string;
  /** Pauses between PINGs that keep an idle connection alive, at least five minutes. Default: none are sent. */
  readonly keepaliveMs?: number;
}

/** A way to one server. */
export interface GrpcChannel extends Disposable {
  /** A client of one of its services. */
  client<D extends ServiceDefinition>(definition: D): ClientOf<D>;
  /** Ends the connection and the calls on it. */
  close(): void;
}

/** Opens a unix socket. */
export function dialUnix(path: string): () => Promise<Connection> {
  return () => Deno.connect({ transport: "unix", path });
}

/** A channel; nothing is connected before the first call. */
export function connect(options: ChannelOptions): GrpcChannel {
  return new Channel(options);
}

const messageBytesMaxDefault = 16 << 20;
/** grpc-go takes more frequent ones for an attack. */
const keepaliveMsMin = 300_000;
const pauseMsMax = 3_000;
/** A call that a server refuses because it ends is made again on the next connection. */
const attemptsMax = 4;

class Channel implements GrpcChannel {
  #connection: Http2Connection | undefined;
  #opening: Promise<Http2Connection> | undefined;
  /** Header blocks that were sent before, by path; those without a timeout or metadata of their own. */
  readonly #blocks = new Map<string, Uint8Array>();
  #closed = false;
  #failures = 0;
  #notBefore = 0;
  #keepalive: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly options: ChannelOptions) {}

  client<D extends ServiceDefinition>(definition: D): ClientOf<D> {
    const calls = Object.entries(definition.methods).map(([key, method]) => {
      const path = `/${definition.fullName}/${method.name}`;
      if (method.responseStream) {
        return [
          key,
          (request: unknown, options?: CallOptions) => this.#stream(path, method, request, options),
        ] as const;
      }
      return [key, (request: unknown, options?: CallOptions) => this.#unary(path, method, request, options)] as const;
    });
    // One function for each method of the definition, which is what ClientOf says.
    return Object.fromEntries(calls) as unknown as ClientOf<D>;
  }

  async #unary(path: string, method: MethodDefinition, request: unknown, options: CallOptions = {}): Promise<unknown> {
    for (let attempt = 1;; attempt++) {
      const call = await this.#start(path, method, request, options);
      try {
        return await answerOf(call);
      } catch (error) {
        if (!call.refused || method.requestStream || attempt === attemptsMax) throw error;
      }
    }
  }

  async *#stream(path: string, method: MethodDefinition, request: unknown, options: CallOptions = {}) {
    const call = await this.#start(path, method, request, options);
    yield* call.inbox;
  }

  async #start(path: string, method: MethodDefinition, request: unknown, options: CallOptions): Promise<ClientCall> {
    const { signal, timeoutMs } = options;
    signal?.throwIfAborted();
    const connection = this.#connection?.open === true ? this.#connection : await this.#connect();
    signal?.throwIfAborted();
    const onAbort = () => call.cancel(signal?.reason);
    const late = () => call.cancel(new Failure("DeadlineExceeded", "context deadline exceeded"));
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
    const call: ClientCall = new ClientCall(
      method,
      connection,
      this.options.messageBytesMax ?? messageBytesMaxDefault,
      () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      },
    );
    signal?.addEventListener("abort", onAbort);
    const block = this.#block(path, options);
    // By the definition, a stream of requests is an iterable.
    if (method.requestStream) void call.startStream(block, request as AsyncIterable<unknown>);
    else call.startUnary(block, method.requestType.encode(request).finish());
    return call;
  }

  #block(path: string, { timeoutMs, metadata }: CallOptions): Uint8Array {
    const known = timeoutMs === undefined && metadata === undefined ? this.#blocks.get(path) : undefined;
    if (known !== undefined) return known;
    const block = encodeHeaders([
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", this.options.authority ?? "localhost"],
      ["content-type", "application/grpc"],
      ["user-agent", "barge"],
      ["te", "trailers"],
      ...(timeoutMs === undefined ? [] : [["grpc-timeout", formatTimeout(timeoutMs)]] satisfies Field[]),
      ...Object.entries({ ...this.options.metadata, ...metadata }),
    ]);
    if (timeoutMs === undefined && metadata === undefined) this.#blocks.set(path, block);
    return block;
  }

  #connect(): Promise<Http2Connection> {
    return this.#opening ??= this.#open().finally(() => this.#opening = undefined);
  }

  async #open(): Promise<Http2Connection> {
    if (this.#closed) throw new Failure("Unavailable", "the channel is closed");
    const pause = this.#notBefore - performance.now();
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    let socket: Connection;
    try {
      socket = await this.options.open();
    } catch (error) {
      this.#failures++;
      this.#notBefore = performance.now() + Math.min(pauseMsMax, 25 * 2 ** this.#failures);
      if (error instanceof Failure) throw error;
      const text = error instanceof Error ? error.message : String(error);
      throw new Failure("Unavailable", `connection error: ${text}`, { cause: error });
    }
    this.#failures = 0;
    if (this.#closed) {
      socket.close();
      throw new Failure("Unavailable", "the channel is closed");
    }
    const connection: Http2Connection = new Http2Connection(socket, "client", {
      accept: () => undefined,
      goneAway: (lastStream) => connection.leave(lastStream),
      ended: () => {},
      closed: () => this.#lost(connection),
    });
    this.#connection = connection;
    void connection.run();
    const { keepaliveMs } = this.options;
    clearInterval(this.#keepalive);
    if (keepaliveMs !== undefined) {
      this.#keepalive = setInterval(() => connection.ping(), Math.max(keepaliveMs, keepaliveMsMin));
    }
    return connection;
  }

  #lost(connection: Http2Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    clearInterval(this.#keepalive);
  }

  close(): void {
    this.#closed = true;
    this.#connection?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The one answer of a unary call. */
async function answerOf(call: ClientCall): Promise<unknown> {
  const { value, done } = await call.inbox.next();
  if (done === true) throw new Failure("Internal", "the server ended a unary call without an answer");
  // The status comes after the message, and says whether it counts.
  if ((await call.inbox.next()).done !== true) throw new Failure("Internal", "more than one answer to a unary call");
  return value;
}
