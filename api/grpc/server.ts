/**
 * The gRPC server: a table of services over HTTP/2 connections.
 *
 * @module
 */
import type { Connection, Listener, PeerOf } from "../rpc/connection.ts";
import type { Peer } from "../rpc/context.ts";
import type { BoundMethod, ServiceTable } from "../rpc/definition.ts";
import { statusCodes } from "../rpc/status.ts";
import { Budget, budgetBytesMax } from "./budget.ts";
import { Http2Connection } from "./connection.ts";
import { errorCodes } from "./frames.ts";
import { encodeHeaders } from "./hpack/encoder.ts";
import type { Field } from "./hpack/static_table.ts";
import { Refusal } from "./refusal.ts";
import { requestHead } from "./request_head.ts";
import { type CallObserver, type CallSettings, type CallType, ServerCall } from "./server_call.ts";
import type { Stream, StreamEvents } from "./stream.ts";
import { encodeMessage, parseTimeout } from "./text.ts";

export type { CallObserver, CallType } from "./server_call.ts";

/** Which method a call is of, for {@link ServerOptions.observe}. */
export interface CallName {
  readonly service: string;
  readonly method: string;
  readonly type: CallType;
}

/** Options of {@link serve}. */
export interface ServerOptions {
  /** Bytes of one message that a client sends. Default: 16 MiB. */
  readonly messageBytesMax?: number;
  /** Bytes of one message that is sent. Default: 16 MiB. */
  readonly sendBytesMax?: number;
  /** Bytes that the calls of one connection hold; see `Budget`. Default: 128 MiB. */
  readonly connectionBytesMax?: number;
  /** Time for a client's first words, without which its connection ends. Default: 120 s, as in grpc-go. */
  readonly handshakeMsMax?: number;
  /** Asked once for each connection. */
  readonly peerOf?: PeerOf;
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
export interface GrpcServer {
  /** Connections that are open. */
  readonly connections: number;
  /** Calls that are being answered, oldest first. */
  calls(): LiveCall[];
  /** Takes no further connections and calls, and waits for those that run; ends them when the signal is aborted. */
  drain(signal: AbortSignal): Promise<void>;
  /** Ends everything at once. */
  close(): void;
  /** Resolved when the listener and all connections have ended. */
  readonly closed: Promise<void>;
}

const messageBytesMaxDefault = 16 << 20;
const handshakeMsMaxDefault = 120_000;

/** Serves the table on a listener until it is closed. */
export function serve(listener: Listener, services: ServiceTable, options: ServerOptions = {}): GrpcServer {
  return new Server(listener, services, options);
}

class Server implements GrpcServer {
  readonly #connections = new Set<Http2Connection>();
  readonly #calls = new Set<ServerCall>();
  readonly #ended = Promise.withResolvers<void>();
  readonly closed: Promise<void>;
  readonly #runs = new Set<Promise<void>>();
  readonly #settings: Omit<CallSettings, "budget">;
  #draining = false;

  constructor(
    private readonly listener: Listener,
    private readonly services: ServiceTable,
    private readonly options: ServerOptions,
  ) {
    this.closed = this.#ended.promise;
    this.#settings = {
      messageBytesMax: options.messageBytesMax ?? messageBytesMaxDefault,
      sendBytesMax: options.sendBytesMax ?? messageBytesMaxDefault,
      done: (call) => this.#calls.delete(call),
    };
    void this.#accept();
  }

  get connections(): number {
    return this.#connections.size;
  }

  calls(): LiveCall[] {
    return [...this.#calls];
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.listener) this.#serveOne(connection);
    } finally {
      while (this.#runs.size > 0) await Promise.all(this.#runs);
      this.#ended.resolve();
    }
  }

  #serveOne(socket: Connection): void {
    const peer = this.options.peerOf?.(socket) ?? { address: "" };
    const settings: CallSettings = {
      ...this.#settings,
      budget: new Budget(this.options.connectionBytesMax ?? budgetBytesMax),
    };
    const connection: Http2Connection = new Http2Connection(socket, "server", {
      accept: (stream, fields) => this.#call(connection, settings, peer, stream, fields),
      goneAway: () => connection.drain(),
      ended: () => {},
      closed: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
    const late = setTimeout(() => {
      if (!connection.settled) connection.close();
    }, this.options.handshakeMsMax ?? handshakeMsMaxDefault);
    const run = connection.run().finally(() => {
      clearTimeout(late);
      this.#runs.delete(run);
    });
    this.#runs.add(run);
  }

  #call(
    connection: Http2Connection,
    settings: CallSettings,
    peer: Peer,
    stream: Stream,
    fields: readonly Field[] | undefined,
  ): StreamEvents | undefined {
    if (fields === undefined) return refuse(connection, stream, "431", []);
    const head = requestHead(fields);
    if (head === undefined) return void connection.reset(stream, errorCodes.protocolError);
    if (!settings.budget.takesCalls) return void connection.reset(stream, errorCodes.refusedStream);
    const { verb, path, contentType, timeout, encoding } = head;
    if (verb !== "POST") return refuse(connection, stream, "405", []);
    if (!/^application\/grpc($|[+;])/.test(contentType ?? "")) return refuse(connection, stream, "415", []);
    if (encoding !== undefined && encoding !== "identity") {
      const message = `grpc: Decompressor is not installed for grpc-encoding "${encoding}"`;
      return fail(connection, stream, "NotImplemented", message, [["grpc-accept-encoding", "identity"]]);
    }
    const method = this.#methodOf(path);
    if (typeof method === "string") return fail(connection, stream, "NotImplemented", method);
    const timeoutMs = timeout === undefined ? undefined : parseTimeout(timeout);
    if (timeout !== undefined && timeoutMs === undefined) {
      return fail(connection, stream, "Internal", `malformed grpc-timeout: ${timeout}`);
    }
    const slash = path.lastIndexOf("/");
    const observer = this.options.observe?.({
      service: path.slice(1, slash),
      method: path.slice(slash + 1),
      type: typeOf(method),
    });
    const call = new ServerCall(method, path, peer, connection, stream, fields, settings, observer);
    this.#calls.add(call);
    call.start(timeoutMs);
    return call;
  }

  /** The method, or why there is none, in grpc-go's words. */
  #methodOf(path: string): BoundMethod | string {
    const slash = path.lastIndexOf("/");
    if (slash < 1 || path[0] !== "/") return `malformed method name: ${JSON.stringify(path)}`;
    const name = path.slice(1, slash);
    const service = this.services.service(name);
    if (service === undefined) return `unknown service ${name}`;
    return service.get(path.slice(slash + 1)) ?? `unknown method ${path.slice(slash + 1)} for service ${name}`;
  }

  async drain(signal: AbortSignal): Promise<void> {
    this.#stopListening();
    this.#draining = true;
    for (const connection of this.#connections) connection.drain();
    const onAbort = () => this.#closeAll();
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) this.#closeAll();
    await this.closed;
    signal.removeEventListener("abort", onAbort);
  }

  #stopListening(): void {
    try {
      this.listener.close();
    } catch {
      // It was closed before.
    }
  }

  #closeAll(): void {
    const reason = new Refusal("Unavailable", "the server is stopping");
    for (const call of this.#calls) call.stop(reason);
    // The answers get a turn to be written.
    setTimeout(() => {
      for (const connection of this.#connections) connection.close();
    }, 10);
  }

  close(): void {
    this.#stopListening();
    this.#draining = true;
    for (const connection of this.#connections) connection.close();
  }
}

function typeOf({ definition: { requestStream, responseStream } }: BoundMethod): CallType {
  if (requestStream) return responseStream ? "bidi_stream" : "client_stream";
  return responseStream ? "server_stream" : "unary";
}

/** Answers on HTTP's own level, and takes no more of the stream. */
function refuse(connection: Http2Connection, stream: Stream, status: string, fields: readonly Field[]): undefined {
  connection.sendHeaders(stream, encodeHeaders([[":status", status], ...fields]), true);
}

function fail(
  connection: Http2Connection,
  stream: Stream,
  code: keyof typeof statusCodes,
  message: string,
  extra: readonly Field[] = [],
): undefined {
  return refuse(connection, stream, "200", [
    ["content-type", "application/grpc"],
    ["grpc-status", String(statusCodes[code])],
    ["grpc-message", encodeMessage(message)],
    ...extra,
  ]);
}
