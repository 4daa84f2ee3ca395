/**
 * A client of a D-Bus bus, or of a peer that speaks without one.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { authenticate, writeAll } from "./authenticate.ts";
import { BusError } from "./bus_error.ts";
import {
  decodeMessage,
  encodeMessage,
  fixedLength,
  type Message,
  messageLength,
  messageTypes,
  type MethodCall,
} from "./message.ts";
import type { Value } from "./value.ts";

/** Who the bus itself is. */
export const bus = { destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus" } as const;

/** Whom to connect to, and how. */
export interface ConnectOptions {
  /** Path of the unix socket; a first zero byte stands for an abstract one. */
  path: string;
  /** The effective user id of this process. */
  uid: number;
  /** Whether there is a bus behind the socket, which wants to be greeted, or the peer itself. */
  isBus: boolean;
  /** Most time that connecting, and each call, may take. */
  timeoutMs: number;
}

/**
 * Life: {@link Connection.connect} → calls, as many at once as one likes → {@link Connection.close}. What the peer sends
 * is read all the time; when the connection breaks, every call that waits fails with `Unavailable`.
 */
export class Connection implements Disposable {
  /** Is told of every signal that comes. */
  onSignal: (signal: Message) => void = () => {};
  /** Never resolves; rejects with `Unavailable` when the connection breaks or is closed. */
  readonly broken: Promise<never>;
  readonly #socket: Deno.Conn;
  readonly #timeoutMs: number;
  readonly #pending = new Map<number, PromiseWithResolvers<readonly Value[]>>();
  #serial = 0;
  /** Of messages that are written one after another. */
  #writing: Promise<void> = Promise.resolve();
  #why: Failure | undefined;
  readonly #end = Promise.withResolvers<never>();

  private constructor(socket: Deno.Conn, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.broken = this.#end.promise;
    // Not everybody waits for it.
    this.broken.catch(() => {});
  }

  /**
   * Connects. Throws `Unavailable` where nobody listens, `PermissionDenied` where the peer refuses, `DeadlineExceeded`
   * where it says nothing.
   */
  static async connect({ path, uid, isBus, timeoutMs }: ConnectOptions): Promise<Connection> {
    const socket = await connectTo(path);
    try {
      const rest = await within(timeoutMs, `connect to the D-Bus socket "${path}"`, authenticate(socket, uid));
      const connection = new Connection(socket, timeoutMs);
      connection.#read(rest);
      if (isBus) await connection.call({ ...bus, interface: bus.destination, member: "Hello" });
      return connection;
    } catch (error) {
      close(socket);
      throw error;
    }
  }

  /** Calls a method; gives what it returns. Throws {@link BusError} as the peer answers, `DeadlineExceeded`. */
  async call(call: MethodCall): Promise<readonly Value[]> {
    if (this.#why !== undefined) throw this.#why;
    const serial = ++this.#serial;
    const pending = Promise.withResolvers<readonly Value[]>();
    this.#pending.set(serial, pending);
    try {
      const message = encodeMessage({ type: messageTypes.call, serial, body: [], ...call });
      this.#write(message);
      return await within(this.#timeoutMs, `call ${call.interface}.${call.member}`, pending.promise);
    } finally {
      this.#pending.delete(serial);
    }
  }

  #write(bytes: Uint8Array): void {
    this.#writing = this.#writing.then(() => writeAll(this.#socket, bytes)).catch((error) => this.#break(error));
  }

  async #read(first: Uint8Array): Promise<void> {
    const incoming = new Incoming((message) => this.#take(message));
    const chunk = new Uint8Array(16_384);
    try {
      incoming.add(first);
      for (;;) {
        const length = await this.#socket.read(chunk);
        if (length === null) throw new Failure("Unavailable", "the peer hung up");
        incoming.add(chunk.subarray(0, length));
      }
    } catch (error) {
      this.#break(error);
    }
  }

  #take(message: Message): void {
    if (message.type === messageTypes.signal) return this.onSignal(message);
    const pending = this.#pending.get(message.replySerial ?? 0);
    if (message.type === messageTypes.reply) pending?.resolve(message.body);
    else if (message.type === messageTypes.error) {
      const [text] = message.body;
      pending?.reject(new BusError(message.errorName ?? "", typeof text === "string" ? text : ""));
    }
  }

  #break(cause: unknown): void {
    if (this.#why !== undefined) return;
    this.#why = new Failure("Unavailable", `the D-Bus connection broke: ${messageOf(cause)}`, { cause });
    for (const pending of this.#pending.values()) pending.reject(this.#why);
    this.#end.reject(this.#why);
    close(this.#socket);
  }

  /** Hangs up; calls that wait fail. */
  close(): void {
    this.#break(new Failure("Canceled", "it was closed"));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Cuts a stream of bytes into messages. */
export class Incoming {
  #bytes = new Uint8Array(0);

  constructor(readonly take: (message: Message) => void) {}

  /** Adds what was read; `take` is called for each message that is complete by then. Throws as `decodeMessage`. */
  add(chunk: Uint8Array): void {
    const bytes = new Uint8Array(this.#bytes.length + chunk.length);
    bytes.set(this.#bytes);
    bytes.set(chunk, this.#bytes.length);
    let begin = 0;
    while (bytes.length - begin >= fixedLength) {
      const length = messageLength(bytes.subarray(begin));
      if (bytes.length - begin < length) break;
      // A copy: positions in a message count from its own beginning, and it may be kept.
      this.take(decodeMessage(bytes.slice(begin, begin + length)));
      begin += length;
    }
    this.#bytes = bytes.slice(begin);
  }
}

async function connectTo(path: string): Promise<Deno.Conn> {
  try {
    return await Deno.connect({ transport: "unix", path });
  } catch (cause) {
    throw new Failure("Unavailable", `cannot connect to the D-Bus socket "${path}": ${messageOf(cause)}`, { cause });
  }
}

/** Closes a socket that may be closed already. */
function close(socket: Deno.Conn): void {
  try {
    socket.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** The promise's outcome, if it comes in time. Throws `DeadlineExceeded` that begins with `action`. */
export async function within<T>(timeoutMs: number, action: string, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Failure("DeadlineExceeded", `cannot ${action}: no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
