import assert from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { EventsDefinition as ShimEventsDefinition } from "../../api/gen/services/ttrpc/events/v1/events.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import { EventExchange } from "../events/exchange.ts";
import { EventsService, servedEventsDefinition, ShimEventsService } from "./events.ts";

const event = { typeUrl: "x.Y", value: new Uint8Array([1]) };

Deno.test("EventsService publishes, forwards, and hands out to subscribers", async () => {
  const exchange = new EventExchange();
  const client = inProcess(servedEventsDefinition, new EventsService({ exchange }), { "containerd-namespace": "n" });
  const shim = inProcess(ShimEventsDefinition, new ShimEventsService({ exchange }));
  const controller = new AbortController();
  const events = client.subscribe({ filters: ["topic~=^/t"] }, { signal: controller.signal })[Symbol.asyncIterator]();
  await client.publish({ topic: "/other", event });
  await client.publish({ topic: "/t/one", event });
  const envelope = { timestamp: { seconds: 5, nanos: 0 }, namespace: "m", topic: "/t/two", event };
  await client.forward({ envelope });
  await shim.forward({ envelope: { ...envelope, topic: "/t/three" } });
  const first = (await events.next()).value;
  assert.deepEqual([first.namespace, first.topic, first.event], ["n", "/t/one", event]);
  assert.equal((await events.next()).value, envelope);
  assert.equal((await events.next()).value.topic, "/t/three");
  controller.abort(new Error("enough"));
  await assert.rejects(events.next(), /enough/);
  assert.equal(exchange.subscribers, 0);
});

Deno.test("EventsService answers bad requests as containerd does", async () => {
  const exchange = new EventExchange();
  const client = inProcess(servedEventsDefinition, new EventsService({ exchange }));
  const shim = inProcess(ShimEventsDefinition, new ShimEventsService({ exchange }));
  await assert.rejects(client.publish({ topic: "/t", event }), (error) => isFailure(error, "FailedPrecondition"));
  await assert.rejects(client.forward({ envelope: undefined }), (error) => isFailure(error, "InvalidArgument"));
  await assert.rejects(shim.forward({ envelope: undefined }), (error) => isFailure(error, "InvalidArgument"));
  // ctr events 'a=b' prints this text.
  const message = "subscription error: failed parsing subscription filters: " +
    'filters: parse error: [a >|=|< b]: unsupported operator "=": invalid argument';
  assert.throws(
    () => client.subscribe({ filters: ["a=b"] }),
    (error) => isFailure(error, "Unknown") && (assert.equal(error.message, message), true),
  );
});
