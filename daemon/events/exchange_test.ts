import assert from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { Envelope } from "../../api/gen/types/event.ts";
import { encodedOnce } from "./encoded_once.ts";
import { EventExchange } from "./exchange.ts";

const event = { typeUrl: "x.Y", value: new Uint8Array(10) };
const never = new AbortController().signal;

async function take(events: AsyncIterator<Envelope>, count: number): Promise<string[]> {
  const topics: string[] = [];
  while (topics.length < count) topics.push((await events.next()).value.topic);
  return topics;
}

Deno.test("EventExchange hands all events, in order, to all who listen, by their filters", async () => {
  const exchange = new EventExchange();
  exchange.publish("a", "/nobody", event);
  const all = exchange.subscribe([], never);
  const some = exchange.subscribe(["namespace==b", "topic~=two"], never);
  const waiting = take(all, 3);
  exchange.publish("a", "/one", event);
  exchange.publish("a", "/two", event);
  exchange.publish("b", "/three", event);
  assert.deepEqual(await waiting, ["/one", "/two", "/three"]);
  assert.deepEqual(await take(some, 2), ["/two", "/three"]);
});

Deno.test("EventExchange.publish() stamps the time and refuses bad names", async () => {
  const exchange = new EventExchange();
  const events = exchange.subscribe([""], never);
  const before = Date.now();
  exchange.publish("n", "/a/b", event);
  const { timestamp, namespace, event: given } = (await events.next()).value!;
  assert.equal(namespace, "n");
  assert.equal(given, event);
  assert.ok(Math.abs(timestamp!.seconds * 1000 + timestamp!.nanos / 1e6 - before) < 5000);
  const refused: [string, string, string][] = [
    ["n", "", 'envelope topic "": must not be empty'],
    ["n", "x", "envelope topic \"x\": must start with '/'"],
    ["n", "/", 'envelope topic "/": must have at least one component'],
    ["n", "/a//b", 'envelope topic "/a//b": failed validation on component "": identifier must not be empty'],
    ["-", "/a", 'failed publishing event: namespace validation: identifier "-" must match '],
  ];
  for (const [name, topic, message] of refused) {
    assert.throws(
      () => exchange.publish(name, topic, event),
      (error) => isFailure(error, "InvalidArgument") && error.message.startsWith(message),
      message,
    );
  }
  assert.throws(
    () => exchange.publish("", "/a", event),
    (error) =>
      isFailure(error, "FailedPrecondition") && error.message === "failed publishing event: namespace is required",
  );
});

Deno.test("EventExchange.forward() keeps the envelope, and refuses one without namespace, topic or time", async () => {
  const exchange = new EventExchange();
  const events = exchange.subscribe([], never);
  const envelope = { timestamp: { seconds: 1, nanos: 2 }, namespace: "n", topic: "/t", event };
  exchange.forward(envelope);
  assert.equal((await events.next()).value, envelope);
  const zero = { seconds: -62135596800, nanos: 0 };
  for (
    const [change, message] of [
      [{ namespace: "" }, "event envelope has invalid namespace: identifier must not be empty"],
      [{ topic: "t" }, "envelope topic \"t\": must start with '/'"],
      [{ timestamp: undefined }, "timestamp must be set on forwarded event"],
      [{ timestamp: zero }, "timestamp must be set on forwarded event"],
    ] as const
  ) {
    assert.throws(
      () => exchange.forward({ ...envelope, ...change }),
      (error) => isFailure(error, "InvalidArgument") && error.message === message,
      message,
    );
  }
});

Deno.test("EventExchange ends the stream of a slow reader, by count and by size, and of nobody else", async () => {
  for (const limits of [{ eventsMax: 3, bytesMax: 1 << 20 }, { eventsMax: 100, bytesMax: 300 }]) {
    const exchange = new EventExchange(limits);
    const slow = exchange.subscribe([], never);
    const quick = exchange.subscribe([], never);
    for (let count = 0; count < 4; count++) {
      exchange.publish("n", "/t", event);
      await quick.next();
    }
    assert.equal(exchange.subscribers, 1);
    await assert.rejects(slow.next(), (error) => isFailure(error, "ResourceExhausted"));
  }
});

Deno.test("EventExchange forgets a listener whose signal is aborted or who returns", async () => {
  const exchange = new EventExchange();
  const controller = new AbortController();
  const reading = exchange.subscribe([], controller.signal).next();
  controller.abort(new Error("gone"));
  await assert.rejects(reading, /gone/);
  await assert.rejects(exchange.subscribe([], controller.signal).next(), /gone/);
  const events = exchange.subscribe([], never);
  exchange.publish("n", "/t", event);
  for await (const { topic } of events) {
    assert.equal(topic, "/t");
    break;
  }
  assert.equal(exchange.subscribers, 0);
  assert.equal((await events.next()).done, true);
});

Deno.test("EventExchange ends the stream whose filter cannot be decided, and of nobody else", async () => {
  const exchange = new EventExchange();
  const hostile = exchange.subscribe(["topic~=[ab/]*a[ab/]{900}c"], never);
  const other = exchange.subscribe([], never);
  let state = 1;
  const bit = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 31;
  const component = () => Array.from({ length: 76 }, () => "ab"[bit()]).join("");
  const topic = "/" + Array.from({ length: 300 }, component).join("/");
  exchange.publish("n", topic, event);
  assert.equal((await other.next()).value!.topic, topic);
  await assert.rejects(hostile.next(), (error) => isFailure(error, "ResourceExhausted"));
});

Deno.test("encodedOnce() encodes a message for the first and gives the same bytes to the others", () => {
  const type = encodedOnce(Envelope);
  const envelope = { timestamp: { seconds: 1, nanos: 0 }, namespace: "n", topic: "/t", event };
  const bytes = type.encode(envelope).finish();
  assert.equal(type.encode(envelope).finish(), bytes);
  assert.deepEqual(bytes, Envelope.encode(envelope).finish());
  assert.deepEqual({ ...type.decode(bytes) }, envelope);
  assert.notEqual(type.encode({ ...envelope }).finish(), bytes);
});
