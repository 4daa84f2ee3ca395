/**
 * The ttrpc server: a table of services over unix sockets, as shims and the daemon's event socket have it.
 *
 * @module
 */
import { Failure, messageOf } from "../errors.ts";
import type { Connection, Listener, PeerOf } from "../rpc/connection.ts";
import type { Peer } from "../rpc/context.ts";
import type { ServiceTable } from "../rpc/definition.ts";
import { statusOf } from "../rpc/status.ts";
import { TtrpcConnection } from "./connection.ts";
import { decodeRequest, encodeFailure, type RequestEnvelope } from "./envelope.ts";
import { type FrameHeader, frameTypes, messageBytesMaxDefault } from "./frames.ts";
import { type CallObserver, type CallType, ServerCall } from "./server_call.ts";

export type { CallObserver, CallType } from "./server_call.ts";

/** Which method a call is of, for {@link ServerOptions.observe}. */
export interface CallName {
  readonly service: string;
  readonly method: string;
  readonly type: CallType;
}

/** Options of {@link serve}. */
export interface ServerOptions {
  /** Bytes of one message, in both directions. Default: 4 MiB, which Go's ttrpc has built in. */
  readonly messageBytesMax?: number;
  /** Calls that one connection may have at once; more are refused with `ResourceExhausted`. Default: 65,536. */
  readonly callsMax?: number;
  /** Asked once for each connection. */
  readonly peerOf?: PeerOf;
  /** Whether a peer may call at all; the connection of one that may not is closed without a word. Default: all may. */
  readonly admits?: (peer: Peer) => boolean;
  /** Told of every call that begins. */
  readonly observe?: (name: CallName) => CallObserver | undefined;
}

/** A call that is being answered. */
export interface LiveCall {
  readonly path: string;
  readonly peer: Peer;
  /** On the clock of `performance.now`. */
  readonly began: number;
}

/** A server that takes connections. */
export interface TtrpcServer {
  /** Connections that are open. */
  readonly connections: number;
  /** Calls that are being answered, oldest first on each connection. */
  calls(): LiveCall[];
  /** Takes no further connections and calls, and waits for those that run; ends them when the signal is aborted. */
  drain(signal: AbortSignal): Promise<void>;
  /** Ends everything at once. */
  close(): void;
  /** Resolved when the listener and all connections have ended. */
  readonly closed: Promise<void>;
}

const callsMaxDefault = 65_536;

/** Serves the table on a listener until it is closed. */
export function serve(listener: Listener, services: ServiceTable, options: ServerOptions = {}): TtrpcServer {
  return new Server(listener, services, options);
}

class Server implements TtrpcServer {
  readonly #sessions = new Set<Session>();
  readonly #runs = new Set<Promise<void>>();
  readonly closed: Promise<void>;
  draining = false;

  constructor(
    private readonly listener: Listener,
    readonly services: ServiceTable,
    readonly options: ServerOptions,
  ) {
    this.closed = this.#accept();
  }

  get connections(): number {
    return this.#sessions.size;
  }

  calls(): LiveCall[] {
    return [...this.#sessions].flatMap((session) => [...session.calls.values()]);
  }

  async #accept(): Promise<void> {
    try {
      for await (const socket of this.listener) this.#serveOne(socket);
    } finally {
      while (this.#runs.size > 0) await Promise.all(this.#runs);
    }
  }

  #serveOne(socket: Connection): void {
    const peer = this.options.peerOf?.(socket) ?? { address: "" };
    if (this.options.admits?.(peer) === false) return socket.close();
    const session = new Session(this, peer, socket);
    this.#sessions.add(session);
    const run = session.connection.run().finally(() => {
      this.#runs.delete(run);
      this.#sessions.delete(session);
    });
    this.#runs.add(run);
    if (this.draining) session.closeIfIdle();
  }

  async drain(signal: AbortSignal): Promise<void> {
    this.draining = true;
    this.#stopListening();
    const stop = () => {
      for (const session of this.#sessions) session.stop(new Failure("Unavailable", "the server is stopping"));
    };
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    for (const session of this.#sessions) session.closeIfIdle();
    await this.closed;
    signal.removeEventListener("abort", stop);
  }

  #stopListening(): void {
    try {
      this.listener.close();
    } catch (error) {
      // It was closed before.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  close(): void {
    this.draining = true;
    this.#stopListening();
    for (const session of this.#sessions) session.connection.close();
  }
}

/** One connection and its calls. */
class Session {
  readonly connection: TtrpcConnection;
  readonly calls = new Map<number, ServerCall>();
  #lastStream = 0;

  constructor(private readonly server: Server, private readonly peer: Peer, socket: Connection) {
    const max = server.options.messageBytesMax ?? messageBytesMaxDefault;
    this.connection = new TtrpcConnection(socket, {
      frame: (header, body) => this.#frame(header, body),
      oversized: ({ stream, length }) =>
        this.#refuse(stream, "ResourceExhausted", `message length ${length} exceed maximum message size of ${max}`),
      closed: () => {
        const gone = new DOMException("context canceled", "AbortError");
        for (const call of [...this.calls.values()]) call.stop(gone);
      },
    }, max);
  }

  /** Ends all calls, and then the connection. */
  stop(reason: Failure): void {
    for (const call of [...this.calls.values()]) call.stop(reason);
    this.closeIfIdle();
  }

  /** Ends a connection that answers nothing, after what is still to be written. */
  closeIfIdle(): void {
    if (this.calls.size === 0) void this.connection.drained.then(() => this.connection.close());
  }

  #frame({ stream, type, flags }: FrameHeader, body: Uint8Array): void {
    if (stream % 2 === 0) {
      return this.#refuse(stream, "InvalidArgument", "StreamID must be odd for client initiated streams");
    }
    if (type === frameTypes.data) {
      const call = this.calls.get(stream);
      if (call === undefined) return this.#refuse(stream, "InvalidArgument", "StreamID is no longer active");
      return call.data(flags, body);
    }
    // Other types are for versions to come.
    if (type === frameTypes.request) this.#request(stream, flags, body);
  }

  #request(stream: number, flags: number, body: Uint8Array): void {
    if (stream <= this.#lastStream) {
      return this.#refuse(stream, "InvalidArgument", "StreamID cannot be re-used and must increment");
    }
    this.#lastStream = stream;
    if (this.server.draining) return this.#refuse(stream, "Unavailable", "the server takes no more calls");
    const callsMax = this.server.options.callsMax ?? callsMaxDefault;
    if (this.calls.size >= callsMax) {
      return this.#refuse(stream, "ResourceExhausted", `${callsMax} calls run on this connection already`);
    }
    let request: RequestEnvelope;
    try {
      request = decodeRequest(body);
    } catch (error) {
      return this.#refuse(stream, "InvalidArgument", `unmarshal request error: ${messageOf(error)}`);
    }
    const { service, method } = request;
    const methods = this.server.services.service(service);
    if (methods === undefined) return this.#refuse(stream, "NotImplemented", `service ${service}`);
    const bound = methods.get(method);
    if (bound === undefined) return this.#refuse(stream, "NotImplemented", `method ${method}`);
    const { requestStream, responseStream } = bound.definition;
    const observer = this.server.options.observe?.({ service, method, type: typeOf(requestStream, responseStream) });
    const path = `/${service}/${method}`;
    const call = new ServerCall(bound, path, this.peer, this.connection, stream, request, observer, () => {
      this.calls.delete(stream);
      if (this.server.draining) this.closeIfIdle();
    });
    this.calls.set(stream, call);
    call.start(flags);
  }

  #refuse(stream: number, code: Failure["code"], message: string): void {
    const status = statusOf(new Failure(code, message));
    void this.connection.sendBytes(stream, frameTypes.response, 0, encodeFailure(status));
  }
}

function typeOf(requestStream: boolean, responseStream: boolean): CallType {
  if (requestStream) return responseStream ? "bidi_stream" : "client_stream";
  return responseStream ? "server_stream" : "unary";
}
