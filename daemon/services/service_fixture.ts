/**
 * Services on new stores, for their tests.
 *
 * @module
 */
import type { MessageType, ServiceDefinition } from "../../api/rpc/definition.ts";
import type { ClientOf, ServiceOf } from "../../api/rpc/definition.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import { withStores } from "../gc/garbage_fixture.ts";
import type { Stores } from "../store.ts";
import { eventKinds } from "./event_kinds.ts";
import type { Collector, Publisher } from "./parts.ts";

/** What a service may be made of, and what came of it. */
export interface Bench {
  readonly stores: Stores;
  readonly events: Publisher;
  readonly collector: Collector;
  /** What was published, with the messages of known kinds. */
  readonly published: { readonly namespace: string; readonly topic: string; readonly message: unknown }[];
  /** How often the collector was asked. */
  collections: number;
}

const kinds = new Map<string, MessageType<unknown>>(
  Object.values(eventKinds).map(({ typeUrl, message }) => [typeUrl, message]),
);

/** Runs the body with parts of its own, which are gone afterwards. */
export async function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  await withStores(async (stores) => {
    const published: Bench["published"] = [];
    const bench: Bench = {
      stores,
      published,
      collections: 0,
      events: {
        publish: (namespace, topic, { typeUrl, value }) => {
          published.push({ namespace, topic, message: kinds.get(typeUrl)?.decode(value) });
        },
      },
      collector: {
        collect: () => {
          bench.collections++;
          return Promise.resolve();
        },
      },
    };
    await body(bench);
  });
}

/** A client that works in the namespace `default`. */
export function clientOf<D extends ServiceDefinition>(definition: D, service: ServiceOf<D>): ClientOf<D> {
  return inProcess(definition, service, { "containerd-namespace": "default" });
}
