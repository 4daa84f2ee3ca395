import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { all, each, EchoDefinition, isCode, until } from "../rpc/echo_fixture.ts";
import { connect, dialUnix } from "./client.ts";
import { loopback } from "./loopback_fixture.ts";

Deno.test("serve() and connect() carry every kind of call", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  equal(await client.unary("hello"), "hello");
  equal(await client.unary(""), "");
  equal(await client.collect(each("a", "", "c")), "ac");
  equal(await client.collect(each()), "");
  deepEqual(await all(client.repeat("3x2")), ["yy", "yy", "yy"]);
  deepEqual(await all(client.repeat("2x0")), ["", ""]);
  deepEqual(await all(client.chat(each("a", "b"))), ["re: a", "re: b"]);
  deepEqual(await all(client.chat(each("a", "bye", "b"))), ["re: a"]);
});

Deno.test("serve() answers failures with code and text, before and after messages", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  await rejects(client.unary("fail"), isCode("NotFound", /^caf\u00e9 100%$/));
  await rejects(client.unary("throw"), isCode("Unknown", /^boom$/));
  await rejects(client.collect(each("a", "stop")), isCode("Aborted", /^stopped$/));
  await rejects(all(client.repeat("0x0")), isCode("OutOfRange"));
  const missing = { ...EchoDefinition, fullName: "test.v1.Missing" };
  await rejects(test.channel.client(missing).unary(""), isCode("NotImplemented", /^service test.v1.Missing$/));
  const other = { ...EchoDefinition, methods: { other: { ...EchoDefinition.methods.unary, name: "Other" } } };
  await rejects(test.channel.client(other).other(""), isCode("NotImplemented", /^method Other$/));
});

Deno.test("serve() gives handlers the metadata, the namespace under gRPC's key", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  const found = await client.unary("metadata", { metadata: { "X-Long": "z".repeat(40_000) }, timeoutMs: 5000 });
  deepEqual(found.split("\n").map((line) => line.slice(0, 30)), [
    "containerd-namespace=test",
    `x-long=${"z".repeat(23)}`,
  ]);
});

Deno.test("serve() and connect() move messages up to 4 MiB, and refuse larger ones on either side", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  for (const length of [4090, 65_530, 1 << 20, (4 << 20) - 100]) {
    equal((await client.unary("m".repeat(length))).length, length);
  }
  await rejects(client.unary("m".repeat(4 << 20)), isCode("ResourceExhausted", /^message length \d+ exceeds maximum/));
  await rejects(
    all(client.repeat(`1x${(4 << 20) + 1}`)),
    isCode("ResourceExhausted", /^message length 41943\d+ exceeds/),
  );
  await rejects(client.collect(each("m".repeat((4 << 20) + 1))), isCode("ResourceExhausted"));
  const generous = connect({ open: dialUnix(test.path), messageBytesMax: 8 << 20 });
  const wide = generous.client(EchoDefinition);
  await rejects(wide.unary("m".repeat(5 << 20)), isCode("ResourceExhausted", /exceed maximum message size of 4194304/));
  equal(await wide.unary("still there"), "still there");
  generous.close();
  equal(await client.unary("still there"), "still there");
});

Deno.test("serve() ends a call at its deadline, and connect() does so without it", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  await rejects(client.unary("wait", { timeoutMs: 20 }), isCode("DeadlineExceeded"));
  await until(() => test.service.aborted === 1 && test.server.calls().length === 0);
  const controller = new AbortController();
  const waiting = client.unary("wait", { signal: controller.signal });
  await until(() => test.service.waiting === 1);
  controller.abort(new Error("enough"));
  await rejects(waiting, /enough/);
  await rejects(client.unary("x", { signal: controller.signal }), /enough/);
  // ttrpc cannot tell the server.
  equal(test.service.waiting, 1);
});

Deno.test("serve() aborts the calls of a client that goes away, and of nobody else", async () => {
  await using test = await loopback();
  const other = connect({ open: dialUnix(test.path) });
  const staying = test.channel.client(EchoDefinition).unary("wait");
  const leaving = Array.from({ length: 300 }, () => other.client(EchoDefinition).unary("wait"));
  const settled = Promise.allSettled([staying, ...leaving]);
  await until(() => test.service.waiting === 301);
  equal(test.server.connections, 2);
  equal(test.server.calls().length, 301);
  other.close();
  await until(() => test.service.aborted === 300 && test.server.connections === 1);
  equal(test.service.waiting, 1);
  test.channel.close();
  for (const result of await settled) {
    ok(result.status === "rejected" && isCode("Unavailable", /^ttrpc: closed$/)(result.reason));
  }
});

Deno.test("connect() connects again after the connection was lost, and tells of the loss", async () => {
  await using test = await loopback();
  let lost = 0;
  const channel = connect({ open: dialUnix(test.path), onLost: () => lost++ });
  const client = channel.client(EchoDefinition);
  equal(await client.unary("a"), "a");
  test.server.close();
  await until(() => lost === 1);
  await rejects(client.unary("b"), isCode("Unavailable", /^connection error: /));
  channel.close();
  await rejects(client.unary("c"), isCode("Unavailable", /^ttrpc: closed$/));
});

Deno.test("serve() stops asking a handler for messages that the client does not take", async () => {
  await using test = await loopback();
  const stream = test.channel.client(EchoDefinition).repeat("1000x100000")[Symbol.asyncIterator]();
  equal((await stream.next()).value?.length, 100_000);
  let before = -1;
  while (before !== test.service.moved) {
    before = test.service.moved;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  ok(before < 300, `${before} messages of 100 kB were made for a reader who took one`);
  await stream.return?.();
  equal(await test.channel.client(EchoDefinition).unary("on"), "on");
});

Deno.test("serve() reads no further while a handler does not read", async () => {
  await using test = await loopback();
  const gate = Promise.withResolvers<void>();
  test.service.reading = gate.promise;
  let sent = 0;
  const source = async function* () {
    for (; sent < 400; sent++) yield "z".repeat(100_000);
  };
  const collecting = test.channel.client(EchoDefinition).collect(source());
  collecting.catch(() => {});
  let before = -1;
  while (before !== sent) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  ok(before < 300, `${before} messages of 100 kB went to a handler that reads none`);
  gate.resolve();
  // The answer is over the limit, which shows that everything came.
  await rejects(collecting, isCode("ResourceExhausted", /^message length 40000\d+ exceeds/));
});

Deno.test("serve() refuses more calls than a connection may have", async () => {
  await using test = await loopback({ callsMax: 2 });
  const client = test.channel.client(EchoDefinition);
  const waiting = [client.unary("wait"), client.unary("wait")].map((call) => call.catch(() => "gone"));
  await rejects(client.unary("a"), isCode("ResourceExhausted", /^2 calls run/));
  test.channel.close();
  deepEqual(await Promise.all(waiting), ["gone", "gone"]);
});

Deno.test("serve() admits only the peers that it is told to, and tells handlers of them", async () => {
  const credentials = { pid: 1, uid: 7, gid: 7 };
  await using strict = await loopback({ peerOf: () => ({ address: "unix", credentials }), admits: () => false });
  await rejects(strict.channel.client(EchoDefinition).unary("a"), isCode("Unavailable"));
  await using open = await loopback({ peerOf: () => ({ address: "unix", credentials }), admits: () => true });
  equal(await open.channel.client(EchoDefinition).unary("peer"), JSON.stringify({ address: "unix", credentials }));
});

Deno.test("drain() lets calls end, takes no further ones, and ends what remains when it is told to", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  const gate = Promise.withResolvers<void>();
  test.service.reading = gate.promise;
  const ending = client.collect(each("a"));
  const waiting = client.unary("wait");
  const refused = rejects(waiting, isCode("Unavailable", /^the server is stopping$/));
  await until(() => test.server.calls().length === 2);
  const controller = new AbortController();
  const drained = test.server.drain(controller.signal);
  await rejects(client.unary("late"), isCode("Unavailable", /^the server takes no more calls$/));
  gate.resolve();
  equal(await ending, "a");
  controller.abort();
  await refused;
  await drained;
  equal(test.server.connections, 0);
});

Deno.test("ServerOptions.observe is told of each call's beginning, messages and end", async () => {
  const seen: string[] = [];
  await using test = await loopback({
    observe: ({ service, method, type }) => {
      seen.push(`${service}/${method} ${type}`);
      return { received: () => seen.push("<"), sent: () => seen.push(">"), handled: (code) => seen.push(String(code)) };
    },
  });
  const client = test.channel.client(EchoDefinition);
  await client.unary("a");
  await rejects(client.unary("fail"));
  await all(client.chat(each("a")));
  deepEqual(seen, [
    ...["test.v1.Echo/Unary unary", "<", ">", "0"],
    ...["test.v1.Echo/Unary unary", "<", "5"],
    ...["test.v1.Echo/Chat bidi_stream", "<", ">", "0"],
  ]);
});
