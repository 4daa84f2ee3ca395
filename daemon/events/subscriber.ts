/**
 * One listener's queue of events.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Envelope } from "../../api/gen/types/event.ts";

/** How much may wait for one listener before its stream ends with `ResourceExhausted`. */
export interface QueueLimits {
  /** Events; 65,536 unless told otherwise, hours of a busy host's events. */
  readonly eventsMax: number;
  /** Bytes of payloads and names, with 64 for each event's own needs; 64 MiB unless told otherwise. */
  readonly bytesMax: number;
}

/** See {@link QueueLimits}. */
export const defaultQueueLimits: QueueLimits = { eventsMax: 65_536, bytesMax: 64 << 20 };

const overhead = 64;

/** What an envelope counts against {@link QueueLimits.bytesMax}. */
export function weightOf({ event, namespace, topic }: Envelope): number {
  return overhead + namespace.length + topic.length + (event === undefined ? 0 : event.value.length);
}

/**
 * Takes events at once and gives them one after the other, in order, to one reader. It ends by an error (the signal's
 * reason, an overflow) or by the reader's own `return`; `ended` is called once then.
 */
export class Subscriber implements AsyncIterableIterator<Envelope, undefined> {
  readonly #limits: QueueLimits;
  readonly #ended: () => void;
  #queue: Envelope[] = [];
  #head = 0;
  #bytes = 0;
  #waiting: PromiseWithResolvers<IteratorResult<Envelope, undefined>> | undefined;
  #end: { readonly error?: unknown } | undefined;

  constructor(limits: QueueLimits, ended: () => void) {
    this.#limits = limits;
    this.#ended = ended;
  }

  /** Takes an event. `weight` is {@link weightOf} it. */
  push(envelope: Envelope, weight: number): void {
    if (this.#end !== undefined) return;
    if (this.#waiting !== undefined) {
      this.#waiting.resolve({ done: false, value: envelope });
      this.#waiting = undefined;
      return;
    }
    const count = this.#queue.length - this.#head;
    if (count >= this.#limits.eventsMax || this.#bytes + weight > this.#limits.bytesMax) {
      const what = `events wait for this subscriber, which reads too slowly`;
      this.end(
        new Failure(
          "ResourceExhausted",
          `${count} ${what} (limits: ${this.#limits.eventsMax} and ${this.#limits.bytesMax} bytes)`,
        ),
      );
      return;
    }
    this.#queue.push(envelope);
    this.#bytes += weight;
  }

  /** Ends it: what waits is dropped, the reader gets the error. */
  end(error: unknown): void {
    this.#finish({ error });
  }

  #finish(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#queue = [];
    this.#head = 0;
    this.#ended();
    if ("error" in end) this.#waiting?.reject(end.error);
    else this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
  }

  next(): Promise<IteratorResult<Envelope, undefined>> {
    if (this.#end !== undefined) {
      return "error" in this.#end ? Promise.reject(this.#end.error) : Promise.resolve({ done: true, value: undefined });
    }
    const envelope = this.#queue[this.#head];
    if (envelope === undefined) {
      if (this.#waiting !== undefined) throw new Error("a subscriber has one reader, which waits already");
      this.#waiting = Promise.withResolvers();
      return this.#waiting.promise;
    }
    this.#head++;
    this.#bytes -= weightOf(envelope);
    // Halving keeps both the array and the work of moving it small.
    if (this.#head * 2 >= this.#queue.length) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return Promise.resolve({ done: false, value: envelope });
  }

  return(): Promise<IteratorResult<Envelope, undefined>> {
    this.#finish({});
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
