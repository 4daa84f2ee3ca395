/**
 * Events on their way to the daemon, in the order in which they happened.
 *
 * @module
 */
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { EventsDefinition } from "../../api/gen/services/ttrpc/events/v1/events.ts";
import type { Envelope } from "../../api/gen/types/event.ts";
import { Failure, messageOf } from "../../api/errors.ts";
import { wireTime } from "../../api/timestamp.ts";
import { connect, type TtrpcChannel } from "../../api/ttrpc/client.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { connectStream } from "../../ffi/stream_socket.ts";
import { after, pause } from "../../ffi/timer.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";

/** How an event is written; the generated messages are such. */
export interface EventType<T> {
  encode(message: T): { finish(): Uint8Array };
}

/** Takes one event to the daemon. Throws where it cannot. */
export type Publish = (envelope: Envelope, signal: AbortSignal) => Promise<void>;

/** Options of {@link EventQueue}. */
export interface EventQueueOptions {
  readonly namespace: string;
  readonly publish: Publish;
  /** One sentence on an event that is given up. */
  readonly warn: (text: string) => void;
}

/**
 * Some megabytes. A client that runs containers faster than a daemon takes their events, one after another, is some
 * thousands ahead. What a daemon that is away for longer misses, it asks for when it is back.
 */
const eventsMax = 16_384;
const attemptsMax = 6;
const attemptMsMax = 5_000;

/**
 * One sender, so that the order stays; an event that cannot be sent is tried again after 1, 2, 3, 4 and 5 s and holds
 * the others back meanwhile. With a full queue the oldest event is given up.
 */
export class EventQueue {
  readonly #waiting: Envelope[] = [];
  #sending: Promise<void> | undefined;
  #closed = false;

  constructor(readonly reactor: Reactor, readonly options: EventQueueOptions) {}

  /** Queues an event that has happened now. `name` is the message's, such as `TaskExit`. */
  add<T>(topic: string, name: string, type: EventType<T>, message: T): void {
    const event = Any.create({ typeUrl: `containerd.events.${name}`, value: type.encode(message).finish() });
    const { namespace } = this.options;
    this.#waiting.push({ timestamp: wireTime(wallTimeMs()), namespace, topic, event });
    if (this.#waiting.length > eventsMax) this.#giveUp(this.#waiting.shift()!, "too many events wait");
    this.#sending ??= this.#send();
  }

  #giveUp({ topic }: Envelope, why: string): void {
    this.options.warn(`the event ${topic} is lost: ${why}`);
  }

  async #send(): Promise<void> {
    // The caller goes on first: a reply is more urgent than the event about it.
    await Promise.resolve();
    for (let event = this.#waiting[0]; event !== undefined; event = this.#waiting[0]) {
      await this.#sendOne(event);
      if (this.#waiting[0] === event) this.#waiting.shift();
    }
    // In the same turn as the last look: an event that comes a moment later has to begin anew.
    this.#sending = undefined;
  }

  async #sendOne(event: Envelope): Promise<void> {
    for (let attempt = 1;; attempt++) {
      const late = new AbortController();
      const timer = after(this.reactor, attemptMsMax, () => {
        late.abort(
          new Failure("DeadlineExceeded", `the daemon did not take the event within ${attemptMsMax / 1000} s`),
        );
      });
      try {
        await this.options.publish(event, late.signal);
        return;
      } catch (error) {
        if (attempt === attemptsMax || this.#closed) return this.#giveUp(event, messageOf(error));
      } finally {
        timer.close();
      }
      await pause(this.reactor, attempt * 1000);
    }
  }

  /** Resolves when nothing waits any more. Events that fail from now on are not tried again. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#sending;
  }
}

/** Publishes over the daemon's ttrpc socket; the connection is made when it is needed, and again when it was lost. */
export class TtrpcPublisher {
  readonly #channel: TtrpcChannel;
  readonly #client;

  constructor(reactor: Reactor, address: string, namespace: string) {
    const path = address.startsWith("unix://") ? address.slice("unix://".length) : address;
    this.#channel = connect({
      open: () => connectStream(reactor, path, new AbortController().signal),
      metadata: { "containerd-namespace-ttrpc": namespace },
    });
    this.#client = this.#channel.client(EventsDefinition);
  }

  /** See {@link Publish}. A connection that has ended since the last event is made again at once. */
  readonly publish: Publish = async (envelope, signal) => {
    try {
      await this.#client.forward({ envelope }, { signal });
    } catch (error) {
      if (!(error instanceof Failure && error.message === "ttrpc: closed")) throw error;
      await this.#client.forward({ envelope }, { signal });
    }
  };

  /** Ends the connection. */
  close(): void {
    this.#channel.close();
  }
}
