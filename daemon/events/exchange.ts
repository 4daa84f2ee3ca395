/**
 * The exchange of events: what is published is handed at once to everybody who listens.
 *
 * Nothing is kept for those who come later. Each listener gets the events of all namespaces in the order in which they
 * were published, chosen by its filters. All listeners get the same envelope object, which nobody changes: that is what
 * lets {@link encodedOnce} give all of them the same bytes.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import type { Envelope } from "../../api/gen/types/event.ts";
import { checkIdentifier } from "../../api/identifier.ts";
import { wireTime } from "../../api/timestamp.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import { compileFilters, type Matcher } from "../filters/compile.ts";
import { envelopeFields } from "./fields.ts";
import { defaultQueueLimits, type QueueLimits, Subscriber, weightOf } from "./subscriber.ts";
import { checkEnvelope, checkTopic } from "./topic.ts";

/** An event without its envelope; `google.protobuf.Any`. */
export interface EventPayload {
  /** The full name of the message, without a host before it. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

interface Listener {
  /** Undefined: everything. */
  readonly matches: Matcher | undefined;
  readonly subscriber: Subscriber;
}

/** Takes and hands out events. */
export class EventExchange {
  readonly #limits: QueueLimits;
  readonly #listeners = new Set<Listener>();

  constructor(limits: QueueLimits = defaultQueueLimits) {
    this.#limits = limits;
  }

  /** Those who listen now. */
  get subscribers(): number {
    return this.#listeners.size;
  }

  /** Publishes an event that happens now. Throws `FailedPrecondition` and `InvalidArgument` in containerd's words. */
  publish(namespace: string, topic: string, event: EventPayload): void {
    const what = "failed publishing event: namespace";
    if (namespace === "") throw new Failure("FailedPrecondition", `${what} is required`);
    try {
      checkIdentifier(namespace);
    } catch (error) {
      throw new Failure("InvalidArgument", `${what} validation: ${messageOf(error)}`, { cause: error });
    }
    checkTopic(topic);
    this.#distribute({ timestamp: wireTime(wallTimeMs()), namespace, topic, event });
  }

  /** Hands out an event that happened elsewhere, as it is. Throws `InvalidArgument` where something is missing. */
  forward(envelope: Envelope): void {
    checkEnvelope(envelope);
    this.#distribute(envelope);
  }

  /**
   * Listens from now on; what is published before the first read is kept. The stream throws the signal's reason once
   * it is aborted, and `ResourceExhausted` where the reader is too slow. Throws `InvalidArgument` for a bad filter.
   */
  subscribe(filters: readonly string[], signal: AbortSignal): AsyncIterableIterator<Envelope, undefined> {
    const matches = filters.every((filter) => filter === "") ? undefined : compileFilters(filters);
    const abort = () => subscriber.end(signal.reason);
    const subscriber = new Subscriber(this.#limits, () => {
      this.#listeners.delete(listener);
      signal.removeEventListener("abort", abort);
    });
    const listener: Listener = { matches, subscriber };
    this.#listeners.add(listener);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort);
    return subscriber;
  }

  #distribute(envelope: Envelope): void {
    if (this.#listeners.size === 0) return;
    const weight = weightOf(envelope);
    const fields = envelopeFields(envelope);
    for (const { matches, subscriber } of this.#listeners) {
      try {
        if (matches === undefined || matches(fields)) subscriber.push(envelope, weight);
      } catch (error) {
        // A filter that cannot be decided ends its own stream; whoever publishes has nothing to do with it.
        subscriber.end(error);
      }
    }
  }
}
