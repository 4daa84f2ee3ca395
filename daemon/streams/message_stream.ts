/**
 * Streams of messages between a client and a service of the daemon: the client opens one by name, and names it in a call
 * of another service, which then speaks with it.
 *
 * @module
 */
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import { Failure } from "../../api/errors.ts";
import { typeName } from "./type_name.ts";

/** Messages that wait for a client which does not read them; what is beyond waits in the service. */
const outgoingMax = 64;

/**
 * One stream, as the service that uses it sees it. It ends by `close`, or when the client goes away; both sides then get
 * what was sent before.
 */
export class MessageStream {
  readonly #outgoing: Any[] = [];
  #wake = Promise.withResolvers<void>();
  #room = Promise.withResolvers<void>();
  #closed = false;
  #gone = false;

  /** `incoming` are the client's messages. */
  constructor(private readonly incoming: AsyncIterator<Any>) {}

  /** The client's next message; undefined when it sends no more. Throws what broke the stream. */
  async receive(): Promise<Any | undefined> {
    const next = await this.incoming.next();
    return next.done === true ? undefined : next.value;
  }

  /** As {@link receive}, for a message that has to be of one type. Throws `InvalidArgument`, `Unavailable` at the end. */
  async expect<T>(name: string, type: { decode(bytes: Uint8Array): T }): Promise<T> {
    const message = await this.receive();
    if (message === undefined) throw new Failure("Unavailable", `stream: it ended before a ${name} came`);
    if (typeName(message.typeUrl) !== name) {
      throw new Failure("InvalidArgument", `stream: a ${typeName(message.typeUrl)} came, expected a ${name}`);
    }
    return type.decode(message.value);
  }

  /** Sends a message; waits while the client has many unread. Throws `Unavailable` where it is gone. */
  async send(message: Any): Promise<void> {
    while (this.#outgoing.length >= outgoingMax && !this.#gone) await this.#room.promise;
    if (this.#gone || this.#closed) throw new Failure("Unavailable", "stream: the client has gone away");
    this.#outgoing.push(message);
    this.#wake.resolve();
  }

  /** Ends the stream after what was sent. */
  close(): void {
    this.#closed = true;
    this.#wake.resolve();
  }

  /** What was sent, for the transport. Ends when the stream does, or the signal is aborted. */
  async *outgoing(signal: AbortSignal): AsyncGenerator<Any> {
    const leave = () => {
      this.#gone = true;
      this.#wake.resolve();
      this.#room.resolve();
    };
    signal.addEventListener("abort", leave);
    try {
      while (!this.#gone) {
        const message = this.#outgoing.shift();
        if (message !== undefined) {
          this.#room.resolve();
          this.#room = Promise.withResolvers();
          yield message;
          continue;
        }
        if (this.#closed) return;
        this.#wake = Promise.withResolvers();
        await this.#wake.promise;
      }
    } finally {
      signal.removeEventListener("abort", leave);
      leave();
    }
  }
}

/** The open streams of all namespaces. */
export class StreamTable {
  readonly #streams = new Map<string, MessageStream>();

  /** Adds a stream. Throws `AlreadyExists`. */
  add(namespace: string, id: string, stream: MessageStream): void {
    const key = JSON.stringify([namespace, id]);
    if (this.#streams.has(key)) throw new Failure("AlreadyExists", `stream "${id}"`);
    this.#streams.set(key, stream);
  }

  /** Takes a stream away that has ended. */
  remove(namespace: string, id: string): void {
    this.#streams.delete(JSON.stringify([namespace, id]));
  }

  /** The stream of that name. Throws `NotFound`. */
  get(namespace: string, id: string): MessageStream {
    const stream = this.#streams.get(JSON.stringify([namespace, id]));
    if (stream === undefined) throw new Failure("NotFound", `stream "${id}"`);
    return stream;
  }
}
