/**
 * ttrpc with stock containerd: our client against its daemon, its `ctr shim` against our server, and our exchange's
 * words against its own.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { StateResponse, TaskDefinition } from "../../api/gen/runtime/task/v2/shim.ts";
import { EventsDefinition } from "../../api/gen/services/ttrpc/events/v1/events.ts";
import type { Envelope } from "../../api/gen/types/event.ts";
import { ServiceTable } from "../../api/rpc/definition.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import { connect, dialUnix } from "../../api/ttrpc/client.ts";
import { serve } from "../../api/ttrpc/server.ts";
import { EventExchange } from "../../daemon/events/exchange.ts";
import { ShimEventsService } from "../../daemon/services/events.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { listenStream } from "../../ffi/stream_listener.ts";
import { StreamSocket } from "../../ffi/stream_socket.ts";
import { execute } from "../command.ts";
import { startDaemon } from "../daemon/daemon_fixture.ts";
import { needing } from "../peers.ts";

const timestamp = { seconds: 5, nanos: 0 };
const event = { typeUrl: "containerd.events.TaskOOM", value: new Uint8Array() };
const good: Envelope = { timestamp, namespace: "n", topic: "/a/b", event };

/** Only envelopes with an event: one without ends containerd 1.6. */
const envelopes: readonly Envelope[] = [
  good,
  { ...good, timestamp: { seconds: 0, nanos: 0 } },
  { ...good, namespace: "" },
  { ...good, namespace: "a..b" },
  { ...good, topic: "" },
  { ...good, topic: "a" },
  { ...good, topic: "/" },
  { ...good, topic: "/a//b" },
  { ...good, topic: "/a/b_-c" },
  { ...good, timestamp: undefined },
  { ...good, timestamp: { seconds: -62135596800, nanos: 0 } },
];

/** What came of a call, as text. */
async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "taken";
  } catch (error) {
    assert(error instanceof Failure, String(error));
    return `${error.code}: ${error.message}`;
  }
}

Deno.test({
  ...needing("ShimEventsService.forward() answers as stock containerd does, over ttrpc", {
    peers: ["containerd"],
    root: true,
  }),
  async fn() {
    await using daemon = await startDaemon({ kind: "stock" });
    using channel = connect({ open: dialUnix(`${daemon.address}.ttrpc`) });
    const stock = channel.client(EventsDefinition);
    const ours = inProcess(EventsDefinition, new ShimEventsService({ exchange: new EventExchange() }));
    for (const envelope of envelopes) {
      const expected = await outcome(stock.forward({ envelope }, { timeoutMs: 10_000 }));
      assert.equal(await outcome(ours.forward({ envelope })), expected);
    }
  },
});

Deno.test({
  ...needing(
    "serve() and stock containerd refuse unknown services and methods, and large messages, in the same words",
    {
      peers: ["containerd"],
      root: true,
    },
  ),
  async fn() {
    await using daemon = await startDaemon({ kind: "stock" });
    const path = `${daemon.directory}/ours`;
    const table = new ServiceTable().add(EventsDefinition, new ShimEventsService({ exchange: new EventExchange() }));
    const server = serve(Deno.listen({ transport: "unix", path }), table);
    const { forward } = EventsDefinition.methods;
    const outcomes = [];
    for (const address of [`${daemon.address}.ttrpc`, path]) {
      using channel = connect({ open: dialUnix(address), messageBytesMax: 8 << 20 });
      const service = channel.client({ ...EventsDefinition, fullName: "no.Such" });
      const method = channel.client({ ...EventsDefinition, methods: { forward: { ...forward, name: "Nope" } } });
      const large = { ...good, event: { typeUrl: "x", value: new Uint8Array(5 << 20) } };
      outcomes.push([
        await outcome(service.forward({ envelope: good })),
        await outcome(method.forward({ envelope: good })),
        await outcome(channel.client(EventsDefinition).forward({ envelope: large })),
        await outcome(channel.client(EventsDefinition).forward({ envelope: good })),
      ]);
    }
    server.close();
    await server.closed;
    assert.deepEqual(outcomes[1], outcomes[0]);
    assert.equal(outcomes[0]!.at(-1), "taken");
  },
});

Deno.test({
  ...needing("serve() answers stock ctr as its shims do, and knows who calls", { peers: ["containerd"], root: true }),
  async fn() {
    using reactor = new Reactor();
    const id = `barge-${crypto.randomUUID()}`;
    const seen: unknown[] = [];
    let admitted = true;
    const { state } = TaskDefinition.methods;
    const table = new ServiceTable().add({ ...TaskDefinition, methods: { state } }, {
      // deno-lint-ignore require-await
      async state(request, context) {
        const { uid, gid } = context.peer.credentials ?? {};
        seen.push([uid, gid, context.signal.aborted]);
        if (request.id !== id) throw new Failure("InvalidArgument", `"${request.id}" is not "${id}"`);
        if (seen.length > 1) throw new Failure("NotFound", "container not created");
        return StateResponse.fromPartial({ id, bundle: "/a/bundle", pid: 4711 });
      },
    });
    // The address that old shims have, which ctr tries.
    const server = serve(listenStream(reactor, `@/containerd-shim/n/${id}/shim.sock\0`), table, {
      peerOf: (socket) => {
        assert(socket instanceof StreamSocket);
        return { address: "unix", credentials: socket.credentials() };
      },
      admits: () => admitted,
    });
    const ask = () => execute(["ctr", "--namespace", "n", "shim", "--id", id, "state"], { timeoutMs: 20_000 });
    const answered = await ask();
    assert.equal(answered.code, 0, answered.stderr);
    assert.match(answered.stdout, /"bundle": "\/a\/bundle"/);
    assert.match(answered.stdout, /"pid": 4711/);
    const failed = await ask();
    assert.match(failed.stderr, /container not created: not found/);
    admitted = false;
    assert.match((await ask()).stderr, /ttrpc: closed/);
    assert.deepEqual(seen, Array(2).fill([Deno.uid(), Deno.gid(), false]));
    server.close();
    await server.closed;
  },
});
