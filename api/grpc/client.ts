/**
 * The gRPC client: calls over one connection, which is made when it is needed and again when it was lost.
 *
 * @module
 */
import { pause } from "../abort.ts";
import { Failure, messageOf } from "../errors.ts";
import type { Connection } from "../rpc/connection.ts";
import type { CallOptions, ClientOf, MethodDefinition, ServiceDefinition } from "../rpc/definition.ts";
import { type CallHost, ClientCall, encodeRequest } from "./client_call.ts";
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
  /**
   * A client of one of its services. A call begins when its method is called, also one whose responses are a stream,
   * which ends when its iterator is returned, the call's signal is aborted or the channel is closed.
   */
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
/** A server that does not answer a PING for so long is gone; as grpc-go has it. */
const keepaliveAnswerMs = 20_000;
/** A socket that has not opened after this time will not; grpc-go's minimum. */
const dialMsMax = 20_000;

class Channel implements GrpcChannel, CallHost {
  readonly messageBytesMax: number;
  /** The one that takes new calls. */
  #connection: Http2Connection | undefined;
  /** That one, and those that were told to go and still have calls. */
  readonly #connections = new Set<Http2Connection>();
  #opening: Promise<Http2Connection> | undefined;
  /** Header blocks that were sent before, by path; those without a timeout or metadata of their own. */
  readonly #blocks = new Map<string, Uint8Array>();
  readonly #closing = new AbortController();
  #failures = 0;
  #notBefore = 0;

  constructor(private readonly options: ChannelOptions) {
    this.messageBytesMax = options.messageBytesMax ?? messageBytesMaxDefault;
  }

  client<D extends ServiceDefinition>(definition: D): ClientOf<D> {
    const calls = Object.entries(definition.methods).map(([key, method]) => {
      const path = `/${definition.fullName}/${method.name}`;
      const call = (request: unknown, options?: CallOptions) => this.#call(path, method, request, options ?? {});
      return [key, call] as const;
    });
    // One function for each method of the definition, which is what ClientOf says.
    return Object.fromEntries(calls) as unknown as ClientOf<D>;
  }

  #call(path: string, method: MethodDefinition, request: unknown, options: CallOptions): unknown {
    let call: ClientCall;
    try {
      // By the definition, a stream of requests is an iterable.
      const requests = method.requestStream ? request as AsyncIterable<unknown> : encodeRequest(method, request);
      call = new ClientCall(method, this.#block(path, options), requests, this, options);
    } catch (error) {
      if (method.responseStream) throw error;
      return Promise.reject(error);
    }
    this.begin(call);
    return call.inbox ?? call.answer?.promise;
  }

  begin(call: ClientCall): void {
    const connection = this.#connection;
    if (connection?.open === true && connection.hasRoom) call.attempt(connection);
    else void this.#beginLater(call);
  }

  async #beginLater(call: ClientCall): Promise<void> {
    try {
      while (!call.ended) {
        const connection = this.#connection?.open === true ? this.#connection : await this.#connect();
        if (connection.open && connection.hasRoom) return call.attempt(connection);
        if (connection.open) await connection.whenRoom();
      }
    } catch (error) {
      call.cancel(error);
    }
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
    const { signal } = this.#closing;
    const waitMs = this.#notBefore - performance.now();
    if (waitMs > 0) await pause(waitMs, signal);
    signal.throwIfAborted();
    let socket: Connection;
    try {
      socket = await opened(this.options.open(), signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#pause();
      if (error instanceof Failure) throw error;
      throw new Failure("Unavailable", `connection error: desc = "${messageOf(error)}"`, { cause: error });
    }
    let tried = false;
    // A server that only opens sockets, and ends each at once, is as bad as none: it is not asked again without a pause.
    const settle = () => {
      if (!tried) this.#pause();
      tried = true;
    };
    const connection: Http2Connection = new Http2Connection(socket, "client", {
      accept: () => undefined,
      goneAway: (lastStream) => {
        settle();
        connection.leave(lastStream);
      },
      ended: () => {
        tried = true;
        this.#failures = 0;
      },
      closed: () => {
        settle();
        this.#lost(connection);
      },
    });
    this.#connection = connection;
    this.#connections.add(connection);
    void connection.run();
    const { keepaliveMs } = this.options;
    if (keepaliveMs !== undefined) connection.keepAlive(Math.max(keepaliveMs, keepaliveMsMin), keepaliveAnswerMs);
    return connection;
  }

  /** The next connection has to wait, longer each time. */
  #pause(): void {
    this.#failures++;
    this.#notBefore = performance.now() + Math.min(pauseMsMax, 25 * 2 ** this.#failures);
  }

  #lost(connection: Http2Connection): void {
    this.#connections.delete(connection);
    if (this.#connection === connection) this.#connection = undefined;
  }

  close(): void {
    this.#closing.abort(new Failure("Unavailable", "the channel is closed"));
    for (const connection of this.#connections) connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The socket, if it opens in time. One that opens later is closed. */
async function opened(opening: Promise<Connection>, signal: AbortSignal): Promise<Connection> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Failure("Unavailable", "dial: i/o timeout")), dialMsMax);
  const onAbort = () => late.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([opening, late.promise]);
  } catch (error) {
    // Of two failures, the first is told; a socket that nobody takes any more must not stay open.
    opening.then((socket) => socket.close(), () => {});
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
