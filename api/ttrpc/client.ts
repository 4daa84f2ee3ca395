/**
 * The ttrpc client: calls over one connection, which is made when it is needed and again when it was lost.
 *
 * @module
 */
import { Failure, messageOf } from "../errors.ts";
import type { Connection } from "../rpc/connection.ts";
import type { CallOptions, ClientOf, MethodDefinition, ServiceDefinition } from "../rpc/definition.ts";
import { ClientCall, tooLong } from "./client_call.ts";
import { TtrpcConnection } from "./connection.ts";
import { encodeMetadata, putRequest, requestBytes, requestPrefix } from "./envelope.ts";
import { frameFlags, frameTypes, messageBytesMaxDefault } from "./frames.ts";

/** Options of {@link connect}. */
export interface ChannelOptions {
  /** Opens the socket. */
  readonly open: () => Promise<Connection>;
  /** Sent with every call. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Bytes of one message, in both directions. Default: 4 MiB, which Go's ttrpc has built in. */
  readonly messageBytesMax?: number;
  /** Called when the connection has ended, by whomever: of a shim, that it is gone. */
  readonly onLost?: () => void;
}

/** A way to one server. */
export interface TtrpcChannel extends Disposable {
  /** A client of one of its services. */
  client<D extends ServiceDefinition>(definition: D): ClientOf<D>;
  /** Ends the connection and the calls on it; further calls fail. */
  close(): void;
}

/** Opens a unix socket. */
export function dialUnix(path: string): () => Promise<Connection> {
  return () => Deno.connect({ transport: "unix", path });
}

/** A channel; nothing is connected before the first call. */
export function connect(options: ChannelOptions): TtrpcChannel {
  return new Channel(options);
}

/** Stream numbers are 32 bits; a connection that has used them up is left for a new one. */
const streamMax = 0xffff_fffd;
const closedText = "ttrpc: closed";

class Channel implements TtrpcChannel {
  readonly #metadata: Uint8Array;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  #closed = false;

  constructor(private readonly options: ChannelOptions) {
    this.#metadata = encodeMetadata(options.metadata ?? {});
  }

  client<D extends ServiceDefinition>(definition: D): ClientOf<D> {
    const calls = Object.entries(definition.methods).map(([key, method]) => {
      const prefix = requestPrefix(definition.fullName, method.name);
      const call = method.responseStream
        ? (request: unknown, options?: CallOptions) => this.#stream(prefix, method, request, options)
        : (request: unknown, options?: CallOptions) => this.#unary(prefix, method, request, options);
      return [key, call] as const;
    });
    // One function for each method of the definition, which is what ClientOf says.
    return Object.fromEntries(calls) as unknown as ClientOf<D>;
  }

  async #unary(
    prefix: Uint8Array,
    method: MethodDefinition,
    request: unknown,
    options?: CallOptions,
  ): Promise<unknown> {
    const session = this.#open() ?? await this.#connect();
    const { value, done } = await this.#start(session, prefix, method, request, options).inbox.next();
    if (done === true) throw new Failure("Internal", "ttrpc: the server ended a unary call without an answer");
    return value;
  }

  async *#stream(
    prefix: Uint8Array,
    method: MethodDefinition,
    request: unknown,
    options?: CallOptions,
  ): AsyncGenerator<unknown> {
    const session = this.#open() ?? await this.#connect();
    yield* this.#start(session, prefix, method, request, options).inbox;
  }

  #start(
    session: Session,
    prefix: Uint8Array,
    method: MethodDefinition,
    request: unknown,
    options: CallOptions = {},
  ): ClientCall {
    const { signal, timeoutMs, metadata } = options;
    signal?.throwIfAborted();
    const { requestStream } = method;
    const parts = {
      prefix,
      payload: requestStream ? new Uint8Array() : method.requestType.encode(request).finish(),
      timeoutNanos: timeoutMs === undefined ? 0 : Math.min(Math.max(1, Math.round(timeoutMs * 1e6)), 2 ** 53 - 1),
      metadata: metadata === undefined ? this.#metadata : encodeMetadata({ ...this.options.metadata, ...metadata }),
    };
    const length = requestBytes(parts);
    const max = session.connection.messageBytesMax;
    if (length > max) throw tooLong(length, max);
    const onAbort = () => call.cancel(signal?.reason);
    const late = () => call.cancel(new Failure("DeadlineExceeded", "context deadline exceeded"));
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, Math.min(timeoutMs, 2 ** 31 - 1));
    const stream = session.nextStream;
    session.nextStream += 2;
    const call: ClientCall = new ClientCall(method, session.connection, stream, () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      session.calls.delete(stream);
    });
    session.calls.set(stream, call);
    signal?.addEventListener("abort", onAbort);
    const flags = requestStream ? frameFlags.remoteOpen : method.responseStream ? frameFlags.remoteClosed : 0;
    const header = { length, stream, type: frameTypes.request, flags };
    session.connection.send(header, (into, at) => putRequest(into, at, parts));
    // By the definition, a stream of requests is an iterable.
    if (requestStream) void call.sendAll(request as AsyncIterable<unknown>);
    return call;
  }

  /** The session, where there is a usable one. */
  #open(): Session | undefined {
    const session = this.#session;
    return session !== undefined && session.connection.open && session.nextStream <= streamMax ? session : undefined;
  }

  #connect(): Promise<Session> {
    return this.#opening ??= this.#dial().finally(() => this.#opening = undefined);
  }

  async #dial(): Promise<Session> {
    const closed = () => new Failure("Unavailable", closedText);
    if (this.#closed) throw closed();
    let socket: Connection;
    try {
      socket = await this.options.open();
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw new Failure("Unavailable", `connection error: ${messageOf(error)}`, { cause: error });
    }
    if (this.#closed) {
      socket.close();
      throw closed();
    }
    const session = new Session(socket, this.options.messageBytesMax ?? messageBytesMaxDefault, () => {
      this.options.onLost?.();
    });
    void session.connection.run();
    return this.#session = session;
  }

  close(): void {
    this.#closed = true;
    this.#session?.connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** One connection and its calls. */
class Session {
  readonly connection: TtrpcConnection;
  readonly calls = new Map<number, ClientCall>();
  nextStream = 1;

  constructor(socket: Connection, messageBytesMax: number, onLost: () => void) {
    this.connection = new TtrpcConnection(socket, {
      // Frames of calls that were given up come as well.
      frame: ({ stream, type, flags }, body) => this.calls.get(stream)?.frame(type, flags, body),
      oversized: ({ stream, length }) => this.calls.get(stream)?.refuse(tooLong(length, messageBytesMax)),
      closed: () => {
        for (const call of [...this.calls.values()]) call.refuse(new Failure("Unavailable", closedText));
        onLost();
      },
    }, messageBytesMax);
  }
}
