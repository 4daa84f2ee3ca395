/**
 * `containerd.services.events.v1.Events`, and the one of the same name on ttrpc by which shims report.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import type { Empty } from "../../api/gen/google/protobuf/empty.ts";
import {
  EventsDefinition,
  type ForwardRequest,
  type PublishRequest,
  type SubscribeRequest,
} from "../../api/gen/services/events/v1/events.ts";
import type {
  EventsDefinition as ShimEventsDefinition,
  ForwardRequest as ShimForwardRequest,
} from "../../api/gen/services/ttrpc/events/v1/events.ts";
import { Envelope } from "../../api/gen/types/event.ts";
import { type CallContext, namespaceKey } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { encodedOnce } from "../events/encoded_once.ts";
import type { EventExchange } from "../events/exchange.ts";

/** The definition that the daemon serves: an event is encoded once for all who listen. */
export const servedEventsDefinition: typeof EventsDefinition = {
  ...EventsDefinition,
  methods: {
    ...EventsDefinition.methods,
    // Transports use encode and decode only, which is what encodedOnce makes.
    subscribe: {
      ...EventsDefinition.methods.subscribe,
      responseType: { ...Envelope, ...encodedOnce(Envelope) } as typeof Envelope,
    },
  },
};

/** Publishes, forwards and hands out events. */
export class EventsService implements ServiceOf<typeof EventsDefinition> {
  readonly #exchange: EventExchange;

  constructor({ exchange }: { readonly exchange: EventExchange }) {
    this.#exchange = exchange;
  }

  // Async, so that what is thrown is a rejection.
  // deno-lint-ignore require-await
  async publish({ topic, event }: PublishRequest, { metadata }: CallContext): Promise<Empty> {
    this.#exchange.publish(metadata.get(namespaceKey) ?? "", topic, event ?? { typeUrl: "", value: new Uint8Array() });
    return {};
  }

  // As above.
  // deno-lint-ignore require-await
  async forward({ envelope }: ForwardRequest): Promise<Empty> {
    forwardTo(this.#exchange, envelope);
    return {};
  }

  /** Gives the events of all namespaces until the caller ends it. A bad filter has no class in containerd. */
  subscribe({ filters }: SubscribeRequest, { signal }: CallContext): AsyncIterable<Envelope> {
    try {
      return this.#exchange.subscribe(filters, signal);
    } catch (error) {
      const what = "subscription error: failed parsing subscription filters";
      throw new Failure("Unknown", `${what}: ${messageOf(error)}: invalid argument`, { cause: error });
    }
  }
}

/** The ttrpc side: what shims tell. */
export class ShimEventsService implements ServiceOf<typeof ShimEventsDefinition> {
  readonly #exchange: EventExchange;

  constructor({ exchange }: { readonly exchange: EventExchange }) {
    this.#exchange = exchange;
  }

  // As above.
  // deno-lint-ignore require-await
  async forward({ envelope }: ShimForwardRequest): Promise<Empty> {
    forwardTo(this.#exchange, envelope);
    return {};
  }
}

function forwardTo(exchange: EventExchange, envelope: Envelope | undefined): void {
  exchange.forward(envelope ?? { timestamp: undefined, namespace: "", topic: "", event: undefined });
}
