/**
 * The services of records against a stock containerd: the same calls, the same answers, codes, texts and events.
 */
import assert from "node:assert/strict";
import { ContainersDefinition } from "../../api/gen/services/containers/v1/containers.ts";
import { EventsDefinition } from "../../api/gen/services/events/v1/events.ts";
import { ImagesDefinition } from "../../api/gen/services/images/v1/images.ts";
import { LeasesDefinition } from "../../api/gen/services/leases/v1/leases.ts";
import { NamespacesDefinition } from "../../api/gen/services/namespaces/v1/namespace.ts";
import { Failure } from "../../api/errors.ts";
import { connect, dialUnix } from "../../api/grpc/client.ts";
import { type CallOptions, type ServiceDefinition, ServiceTable } from "../../api/rpc/definition.ts";
import { failureOf, statusOf } from "../../api/rpc/status.ts";
import { ContainersService } from "../../daemon/services/containers.ts";
import { eventKinds } from "../../daemon/services/event_kinds.ts";
import { ImagesService } from "../../daemon/services/images.ts";
import { LeasesService } from "../../daemon/services/leases.ts";
import { NamespacesService } from "../../daemon/services/namespaces.ts";
import { openStores, type Stores } from "../../daemon/store.ts";
import { startDaemon } from "../daemon/daemon_fixture.ts";
import { needing } from "../peers.ts";
import { type Call, calls, type ServiceName } from "./calls.ts";
import { patientEnd } from "../patience.ts";

const definitions: Readonly<Record<ServiceName, ServiceDefinition>> = {
  containers: ContainersDefinition,
  images: ImagesDefinition,
  leases: LeasesDefinition,
  namespaces: NamespacesDefinition,
};

/** Makes a call of whichever daemon: gives the answer's message, or throws a Failure. */
type Caller = (call: Call) => Promise<unknown>;

interface Event {
  readonly namespace: string;
  readonly topic: string;
  readonly message: unknown;
}

function headersOf({ namespace = "first", lease }: Call): Record<string, string> {
  return {
    ...(namespace === "" ? {} : { "containerd-namespace": namespace }),
    ...(lease === undefined ? {} : { "containerd-lease": lease }),
  };
}

function requestOf({ service, method, request }: Call): unknown {
  const definition = definitions[service].methods[method];
  assert(definition !== undefined, `${service} has no ${method}`);
  // Generated message objects have it besides what the definition says.
  const type = definition.requestType as unknown as { fromPartial(value: unknown): unknown };
  // Both sides get what went over a wire.
  return definition.requestType.decode(definition.requestType.encode(type.fromPartial(request)).finish());
}

/** Times are each daemon's own: only that they are there is compared. */
function comparable(value: unknown): unknown {
  const text = JSON.stringify(
    value,
    (key, part: unknown) =>
      key.endsWith("At") && part !== undefined ? "time" : part instanceof Uint8Array ? `bytes ${[...part]}` : part,
  );
  return JSON.parse(text ?? "null");
}

async function outcomeOf(caller: Caller, call: Call): Promise<{ code: string; text?: string; answer?: unknown }> {
  try {
    return { code: "ok", answer: comparable(await caller(call)) };
  } catch (error) {
    assert(error instanceof Failure, `${call.service}.${call.method} threw ${error}`);
    return { code: error.code, text: error.message };
  }
}

function ourCaller(stores: Stores, events: Event[]): Caller {
  const kinds = new Map(Object.values(eventKinds).map(({ typeUrl, message }) => [typeUrl, message]));
  const parts = {
    stores,
    collector: { collect: () => Promise.resolve() },
    events: {
      publish(namespace: string, topic: string, { typeUrl, value }: { typeUrl: string; value: Uint8Array }) {
        events.push({ namespace, topic, message: comparable(kinds.get(typeUrl)?.decode(value)) });
      },
    },
  };
  const table = new ServiceTable()
    .add(ContainersDefinition, new ContainersService(parts))
    .add(ImagesDefinition, new ImagesService(parts))
    .add(LeasesDefinition, new LeasesService(parts))
    .add(NamespacesDefinition, new NamespacesService(parts));
  return async (call) => {
    const definition = definitions[call.service];
    const name = definition.methods[call.method]?.name ?? "";
    const method = table.service(definition.fullName)?.get(name);
    assert(method !== undefined);
    const metadata = new Map(Object.entries(headersOf(call)));
    try {
      const context = { metadata, signal: AbortSignal.timeout(20_000), peer: { address: "test" } };
      const answer = await method.handler(requestOf(call), context);
      return method.definition.responseType.decode(method.definition.responseType.encode(answer).finish());
    } catch (error) {
      // As the client of a transport has it.
      throw failureOf(statusOf(error));
    }
  };
}

Deno.test({
  ...needing("services of records answer as a stock containerd does, call by call, with the same events", {
    peers: ["containerd"],
    root: true,
  }),
  fn: async () => {
    await using daemon = await startDaemon({ kind: "stock" });
    using channel = connect({ open: dialUnix(daemon.address) });
    const leave = new AbortController();
    const stockEvents: Event[] = [];
    const kinds = new Map(Object.values(eventKinds).map(({ typeUrl, message }) => [typeUrl, message]));
    const listening = (async () => {
      const stream = channel.client(EventsDefinition).subscribe({ filters: [] }, { signal: leave.signal });
      for await (const { namespace, topic, event } of stream) {
        const message = kinds.get(event?.typeUrl ?? "")?.decode(event?.value ?? new Uint8Array());
        stockEvents.push({ namespace, topic, message: comparable(message) });
      }
    })().catch((error) => {
      if (!leave.signal.aborted) throw error;
    });
    const stock: Caller = (call) => {
      const client = channel.client(definitions[call.service]);
      // By the table of calls, each method is a unary one of its service.
      const method = client[call.method] as unknown as (request: unknown, options: CallOptions) => Promise<unknown>;
      return method(requestOf(call), { metadata: headersOf(call), timeoutMs: 20_000 });
    };
    const directory = await Deno.makeTempDir({ prefix: "barge-records-" });
    try {
      using stores = await openStores(`${directory}/root`);
      const ourEvents: Event[] = [];
      const ours = ourCaller(stores, ourEvents);
      const differences: string[] = [];
      for (const call of calls) {
        const before = ourEvents.length;
        const [mine, theirs] = [await outcomeOf(ours, call), await outcomeOf(stock, call)];
        const title = `${call.service}.${call.method} ${JSON.stringify(call.request).slice(0, 200)}`;
        if (call.differs !== undefined) {
          assert.notDeepEqual(mine, theirs, `${title} does not differ: ${call.differs.why}`);
          assert.equal(mine.code, call.differs.code, title);
          if (call.differs.text !== undefined) assert.match(mine.text ?? "", call.differs.text, title);
          // What one of them did and the other did not is left out.
          const publishes = call.service !== "leases" && ["create", "update", "delete"].includes(call.method);
          await arrived(stockEvents, before + (publishes && theirs.code === "ok" ? 1 : 0));
          ourEvents.length = stockEvents.length = before;
        } else if (JSON.stringify(sorted(mine)) !== JSON.stringify(sorted(theirs))) {
          differences.push(`${title}\n  ours:  ${JSON.stringify(mine)}\n  stock: ${JSON.stringify(theirs)}`);
        } else await arrived(stockEvents, ourEvents.length);
      }
      assert.deepEqual(differences, [], differences.join("\n"));
      assert(ourEvents.length > 20, `only ${ourEvents.length} events`);
      // containerd 1.6 tells of new namespaces and labels in the caller's namespace, and 2 in the one they are about.
      const place = ({ namespace, topic, message }: Event) => ({
        topic,
        message,
        ...(topic.startsWith("/namespaces/") ? {} : { namespace }),
      });
      assert.deepEqual(ourEvents.map(place), stockEvents.map(place));
    } finally {
      leave.abort();
      await listening;
      await Deno.remove(directory, { recursive: true });
    }
  },
});

/** Waits until so many events have come, which come on a connection's other stream. */
async function arrived(events: readonly unknown[], count: number): Promise<void> {
  for (const deadline = patientEnd(10_000); events.length < count;) {
    assert(performance.now() < deadline, `${count} events were to come, and ${events.length} have`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The same with the keys of objects in order: those of maps have none. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, part]) => [key, sorted(part)]),
  );
}
