/**
 * What the services need of the rest of the daemon, besides the stores.
 *
 * @module
 */
import type { EventKind } from "./event_kinds.ts";

/** Takes events and hands them to whoever listens. `EventExchange` is such. */
export interface Publisher {
  /** Publishes now, in this namespace; the event's type URL is the full name of its message. */
  publish(namespace: string, topic: string, event: { readonly typeUrl: string; readonly value: Uint8Array }): void;
}

/** Publishes an event of the daemon's own; after the transaction that it tells of. */
export function announce<T>(publisher: Publisher, namespace: string, kind: EventKind<T>, message: T): void {
  publisher.publish(namespace, kind.topic, { typeUrl: kind.typeUrl, value: kind.message.encode(message).finish() });
}

/** Collects garbage; deletions and mutations themselves are noticed by `Database.watch`. */
export interface Collector {
  /** Waits for a whole collection that begins from now on. Throws where it failed. */
  collect(signal: AbortSignal): Promise<void>;
}
