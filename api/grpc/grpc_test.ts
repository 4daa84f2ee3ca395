import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { Failure } from "../errors.ts";
import { ServiceTable } from "../rpc/definition.ts";
import { all, each, EchoDefinition, EchoService, isCode, until } from "../rpc/echo_fixture.ts";
import { connect, dialUnix } from "./client.ts";
import { goAwayFrame, settings, settingsFrame, windowMax } from "./frames.ts";
import { loopback } from "./loopback_fixture.ts";
import { serve } from "./server.ts";

Deno.test("serve() and connect() carry every kind of call", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  equal(await client.unary("hello"), "hello");
  equal(await client.unary(""), "");
  equal(await client.collect(each("a", "b", "c")), "abc");
  deepEqual(await all(client.repeat("3x2")), ["yy", "yy", "yy"]);
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
  await rejects(test.channel.client(missing).unary(""), isCode("NotImplemented", /^unknown service test.v1.Missing$/));
  const { unary } = EchoDefinition.methods;
  const other = { ...EchoDefinition, methods: { other: { ...unary, name: "Other" } } };
  await rejects(
    test.channel.client(other).other(""),
    isCode("NotImplemented", /^unknown method Other for service test.v1.Echo$/),
  );
});

Deno.test("serve() gives handlers the metadata, without HTTP's own fields", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  const found = await client.unary("metadata", { metadata: { "x-long": "z".repeat(40_000) }, timeoutMs: 5_000 });
  deepEqual(found.split("\n").map((line) => line.slice(0, 25)), [
    "user-agent=barge",
    "containerd-namespace=test",
    `x-long=${"z".repeat(18)}`,
  ]);
});

Deno.test("serve() and connect() move messages of many megabytes, and refuse larger ones", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  for (const length of [65_530, 1 << 20, (16 << 20) - 1]) {
    const message = "m".repeat(length);
    equal((await client.unary(message)).length, length);
  }
  await rejects(
    client.unary("m".repeat((16 << 20) + 1)),
    isCode("ResourceExhausted", /^grpc: received message larger than max \(16777217 vs. 16777216\)$/),
  );
  await rejects(
    all(client.repeat(`1x${(16 << 20) + 1}`)),
    isCode("ResourceExhausted", /^grpc: trying to send message larger/),
  );
  equal(await client.unary("still there"), "still there");
});

Deno.test("connect() makes a hundred calls at once over one connection", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => client.unary(`${n} ${"x".repeat(n * 500)}`)));
  ok(answers.every((answer, n) => answer.startsWith(`${n} `)));
  equal(test.server.connections, 1);
  await until(() => test.server.calls().length === 0);
});

Deno.test("a deadline ends the call on both sides", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  await rejects(client.unary("wait", { timeoutMs: 50 }), isCode("DeadlineExceeded"));
  await until(() => test.server.calls().length === 0);
});

Deno.test("a signal cancels a call, and the handler hears of it", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  const controller = new AbortController();
  const call = client.unary("wait", { signal: controller.signal });
  await until(() => test.server.calls().length === 1);
  controller.abort(new Failure("Canceled", "enough"));
  await rejects(call, isCode("Canceled", /^enough$/));
  await until(() => test.server.calls().length === 0);
});

Deno.test("a reader that leaves a stream ends its handler", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  for await (const _ of client.repeat("1000000x1000")) break;
  await until(() => test.service.aborted === 1 && test.server.calls().length === 0);
});

Deno.test("a slow reader holds its handler back and nobody else", async () => {
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  const stream = client.repeat("1000x100000")[Symbol.asyncIterator]();
  await stream.next();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const pulled = test.service.moved;
  ok(pulled < 100, `${pulled} of 1000 messages of 100 kB were asked for`);
  equal(await client.unary("x"), "x");
  let count = 1;
  for (let next = await stream.next(); next.done !== true; next = await stream.next()) count++;
  equal(count, 1000);
});

Deno.test("a client that vanishes ends its calls", async () => {
  await using test = await loopback();
  using other = connect({ open: dialUnix(test.path) });
  const waiting = other.client(EchoDefinition).unary("wait");
  await until(() => test.server.calls().length === 1);
  other.close();
  await rejects(waiting, isCode("Unavailable"));
  await until(() => test.server.calls().length === 0 && test.server.connections === 0);
});

Deno.test("connect() comes back after the server was restarted", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/s`;
  using channel = connect({ open: dialUnix(path) });
  const client = channel.client(EchoDefinition);
  await rejects(client.unary("x"), isCode("Unavailable", /connection error/));
  for (let round = 0; round < 2; round++) {
    const table = new ServiceTable().add(EchoDefinition, new EchoService());
    const server = serve(Deno.listen({ transport: "unix", path }), table);
    equal(await client.unary("x"), "x");
    await server.drain(AbortSignal.timeout(5_000));
  }
  await Deno.remove(directory, { recursive: true });
});

Deno.test("connect() pauses longer and longer where a server ends each connection at once", async () => {
  let opened = 0;
  // It lets no stream begin and says GOAWAY: the call has to wait, and must not ask without end meanwhile.
  const busy = [settingsFrame([[settings.maxConcurrentStreams, 0]]), goAwayFrame(0, 0, "")];
  using channel = connect({
    open: () => {
      opened++;
      const says = [...busy];
      return Promise.resolve({
        read(into: Uint8Array) {
          const bytes = says.shift();
          if (bytes === undefined) return Promise.resolve(null);
          into.set(bytes);
          return Promise.resolve(bytes.length);
        },
        write: (bytes: Uint8Array) => Promise.resolve(bytes.length),
        close: () => {},
      });
    },
  });
  const call = channel.client(EchoDefinition).unary("x", { timeoutMs: 300 });
  await rejects(call, isCode("DeadlineExceeded"));
  ok(opened <= 5, `${opened} connections in 300 ms`);
});

Deno.test("connect() makes a call again that a server's second GOAWAY says it has not seen", async () => {
  await using test = await loopback();
  // As Node and grpc-go leave: first they name the highest stream there is, then the last that they have taken.
  const says = [settingsFrame([]), goAwayFrame(windowMax, 0, ""), goAwayFrame(0, 0, "")];
  const called = Promise.withResolvers<void>();
  const leaving = {
    async read(into: Uint8Array) {
      if (says.length < 3) await called.promise;
      const bytes = says.shift();
      if (bytes === undefined) return null;
      into.set(bytes);
      return bytes.length;
    },
    write(bytes: Uint8Array) {
      // The call comes with what opens the connection.
      called.resolve();
      return Promise.resolve(bytes.length);
    },
    close: () => {},
  };
  let opened = 0;
  using channel = connect({ open: () => opened++ === 0 ? Promise.resolve(leaving) : dialUnix(test.path)() });
  equal(await channel.client(EchoDefinition).unary("x", { timeoutMs: 5_000 }), "x");
  equal(opened, 2);
});

Deno.test("GrpcServer.drain() answers the calls that run, takes no more, and ends the rest when its time is over", async () => {
  const test = await loopback();
  const client = test.channel.client(EchoDefinition);
  const waiting = client.unary("wait");
  await until(() => test.server.calls().length === 1);
  const drained = test.server.drain(AbortSignal.timeout(100));
  await rejects(waiting, isCode("Unavailable", /the server is stopping/));
  await drained;
  equal(test.server.connections, 0);
  await test[Symbol.asyncDispose]();
});

Deno.test("ServerOptions.observe hears of messages and codes", async () => {
  const heard: string[] = [];
  await using test = await loopback({
    observe: ({ service, method, type }) => {
      const name = `${service}/${method} ${type}`;
      heard.push(`started ${name}`);
      return {
        received: () => heard.push("received"),
        sent: () => heard.push("sent"),
        handled: (code) => heard.push(`handled ${code}`),
      };
    },
  });
  const client = test.channel.client(EchoDefinition);
  await client.unary("x");
  await rejects(client.unary("fail"));
  await all(client.repeat("2x1"));
  deepEqual(heard, [
    ...["started test.v1.Echo/Unary unary", "received", "sent", "handled 0"],
    ...["started test.v1.Echo/Unary unary", "received", "handled 5"],
    ...["started test.v1.Echo/Repeat server_stream", "received", "sent", "sent", "handled 0"],
  ]);
});
