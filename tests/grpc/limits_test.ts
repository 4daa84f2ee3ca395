/**
 * The server's limits and windows, deadlines and ends, against a client that writes its own frames.
 *
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import {
  errorCodes,
  frame,
  frameFlags,
  frameTypes,
  numberFrame,
  preface,
  settings,
  settingsFrame,
} from "../../api/grpc/frames.ts";
import { EchoServer } from "./echo_server.ts";
import { callFields, dataFrame, headersFrame, prefixed, RawClient } from "./raw_client.ts";
import { downRequest } from "./echo.ts";

const { endStream, endHeaders } = frameFlags;
const unary = callFields("/test.Echo/Unary");
const hello = new TextEncoder().encode("hello");
const empty = new Uint8Array();
const bytes = (...values: number[]) => Uint8Array.from(values);

Deno.test("serve() refuses a header list over its limit, and keeps the connection", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path);
  await client.send(headersFrame(1, callFields("/test.Echo/Unary", ["a", "b"]), 0));
  // An entry of the table that is named often is a small block and a large list.
  const entry = bytes(0x40, 1, 0x61, 0x7f, 0xa1, 0x1e, ...new Uint8Array(4000).fill(0x62));
  const many = new Uint8Array(1000).fill(0xbe);
  const block = Uint8Array.from([...headersFrame(3, unary).subarray(9), ...entry, ...many]);
  await client.send(frame(frameTypes.headers, endHeaders | endStream, 3, block));
  const { ":status": status } = await client.trailers(3);
  equal(status, "431");
  await client.ping();
});

Deno.test("serve() ends a connection whose header block does not end", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path);
  const part = frame(frameTypes.continuation, 0, 1, new Uint8Array(16_000));
  await client.send(frame(frameTypes.headers, 0, 1, empty), ...Array.from({ length: 20 }, () => part));
  equal(await client.goAway(), errorCodes.enhanceYourCalm);
});

Deno.test("serve() ends a connection of CONTINUATION frames that carry nothing", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path);
  const part = frame(frameTypes.continuation, 0, 1, empty);
  await client.send(frame(frameTypes.headers, 0, 1, empty), ...Array.from({ length: 20_000 }, () => part));
  equal(await client.goAway(), errorCodes.enhanceYourCalm);
});

Deno.test("serve() ends a connection that is not HTTP/2", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.connect(echo.path);
  await client.send(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
  await client.until("the end", () => client.ended);
  ok(await echo.settles(() => echo.server.connections === 0));
});

Deno.test("serve() ends a connection that does not begin in time, and no other", async () => {
  await using echo = await EchoServer.start({ handshakeMsMax: 200 });
  using idle = await RawClient.open(echo.path);
  using silent = await RawClient.connect(echo.path);
  using slow = await RawClient.connect(echo.path);
  await slow.send(preface.subarray(0, 10));
  using halfway = await RawClient.connect(echo.path);
  await halfway.send(preface);
  for (const client of [silent, slow, halfway]) await client.until("the end", () => client.ended);
  equal(echo.server.connections, 1);
  await idle.ping();
});

Deno.test("serve() wants SETTINGS first", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.connect(echo.path);
  await client.send(preface, frame(frameTypes.ping, 0, 0, new Uint8Array(8)));
  equal(await client.goAway(), errorCodes.protocolError);
});

Deno.test("serve() resets a stream that sends more than its window, and a connection that does", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path);
  // Nobody takes the messages of a method that waits for its one request to be whole, and this is longer than all windows.
  await client.send(headersFrame(1, callFields("/test.Echo/Hang")));
  const chunk = dataFrame(1, Uint8Array.from([0, 0, 0xf0, 0, 0, ...new Uint8Array(16_000)]));
  const more = dataFrame(1, new Uint8Array(16_379));
  await client.send(chunk, ...Array.from({ length: 2_000 }, () => more));
  const code = await client.until("an error", () => {
    const sent = client.frames.find(({ type }) => type === frameTypes.rstStream || type === frameTypes.goAway);
    return sent === undefined ? undefined : sent.payload.at(sent.type === frameTypes.goAway ? 7 : 3);
  });
  // A unary request is taken as it comes, so that windows may never be exceeded: then its length ends it.
  ok([errorCodes.flowControlError, errorCodes.noError].includes(code as 0), `code ${code}`);
  deepEqual(await echo.client().unary(hello), hello);
});

Deno.test("serve() honours the client's windows, also those that become negative", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path, [[settings.initialWindowSize, 1_000]]);
  await client.send(
    headersFrame(1, callFields("/test.Echo/Down")),
    dataFrame(1, prefixed(downRequest(10, 995)), endStream),
  );
  await client.until("one window of DATA", () => client.data(1).length === 1_000);
  await client.ping();
  equal(client.data(1).length, 1_000);
  ok(echo.echo.pulled <= 3, `${echo.echo.pulled} messages were made for a window that is shut`);
  // The window is now 0; 500 less makes it -500, and 600 more leaves 100.
  await client.send(settingsFrame([[settings.initialWindowSize, 500]]), numberFrame(frameTypes.windowUpdate, 1, 600));
  await client.until("100 bytes more", () => client.data(1).length === 1_100);
  await client.ping();
  equal(client.data(1).length, 1_100);
  await client.send(numberFrame(frameTypes.windowUpdate, 1, 100_000));
  equal((await client.trailers(1))["grpc-status"], "0");
  equal(client.data(1).length, 10_000);
});

Deno.test("serve() honours the connection's window across streams", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path, [[settings.initialWindowSize, 1 << 20]]);
  for (const stream of [1, 3]) {
    await client.send(
      headersFrame(stream, callFields("/test.Echo/Down")),
      dataFrame(stream, prefixed(downRequest(1, 60_000)), endStream),
    );
  }
  const total = () => client.data(1).length + client.data(3).length;
  await client.until("a connection's window of DATA", () => total() === 65_535);
  await client.ping();
  equal(total(), 65_535);
  await client.send(numberFrame(frameTypes.windowUpdate, 0, 1 << 20));
  for (const stream of [1, 3]) equal((await client.trailers(stream))["grpc-status"], "0");
});

Deno.test("serve() answers a PING while a stream sends all that it can", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path, [[settings.initialWindowSize, 0x7fff_ffff]]);
  await client.send(
    numberFrame(frameTypes.windowUpdate, 0, 0x7fff_0000),
    headersFrame(1, callFields("/test.Echo/Down")),
    dataFrame(1, prefixed(downRequest(100_000, 1 << 16)), endStream),
  );
  await client.until("DATA", () => client.frames.length > 20);
  await client.ping();
  await client.send(numberFrame(frameTypes.rstStream, 1, errorCodes.cancel));
  ok(await echo.settles(() => echo.echo.live === 0), "the handler still runs");
});

Deno.test("serve() ends the handler of a stream that is reset, and of a connection that vanishes", async () => {
  await using echo = await EchoServer.start();
  {
    using client = await RawClient.open(echo.path);
    for (const stream of [1, 3]) {
      await client.send(headersFrame(stream, callFields("/test.Echo/Hang")), dataFrame(stream, prefixed(hello), 1));
    }
    ok(await echo.settles(() => echo.echo.live === 2));
    await client.send(numberFrame(frameTypes.rstStream, 1, errorCodes.cancel));
    ok(await echo.settles(() => echo.echo.abandoned === 1));
    equal(echo.echo.live, 1);
  }
  ok(await echo.settles(() => echo.echo.abandoned === 2 && echo.echo.live === 0));
});

Deno.test("serve() ends a stream's handler that waits for requests when its client vanishes", async () => {
  await using echo = await EchoServer.start();
  {
    using client = await RawClient.open(echo.path);
    for (const [stream, name] of [[1, "Both"], [3, "Up"]] as const) {
      await client.send(headersFrame(stream, callFields(`/test.Echo/${name}`)), dataFrame(stream, prefixed(hello)));
    }
    ok(await echo.settles(() => echo.echo.live === 2 && echo.echo.taken === 2));
  }
  ok(await echo.settles(() => echo.echo.live === 0), "a handler still runs");
});

Deno.test("serve() answers DeadlineExceeded when the client's time is over, and aborts the handler", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path);
  await client.send(
    headersFrame(1, callFields("/test.Echo/Hang", ["grpc-timeout", "50m"])),
    dataFrame(1, prefixed(hello), endStream),
  );
  const trailers = await client.trailers(1);
  equal(trailers["grpc-status"], "4");
  equal(trailers["grpc-message"], "context deadline exceeded");
  ok(await echo.settles(() => echo.echo.live === 0));
});

Deno.test("serve() says why a message is not taken", async () => {
  await using echo = await EchoServer.start({ messageBytesMax: 1000, sendBytesMax: 500 });
  using client = await RawClient.open(echo.path);
  const wrong: readonly [Uint8Array, string, RegExp][] = [
    [prefixed(new Uint8Array(1001)), "8", /^grpc: received message larger than max \(1001 vs. 1000\)$/],
    [prefixed(new Uint8Array(501)), "8", /^(grpc: )?trying to send message larger than max \(501 vs. 500\)$/],
    [prefixed(hello, 1), "13", /compressed flag set with identity or empty encoding/],
    [prefixed(hello, 7), "13", /unexpected payload format 7/],
    [prefixed(hello).subarray(0, 7), "13", /./],
    [empty, "13", /./],
    [Uint8Array.from([...prefixed(hello), ...prefixed(hello)]), "13", /./],
  ];
  for (const [index, [payload, status, message]] of wrong.entries()) {
    const stream = index * 2 + 1;
    await client.send(headersFrame(stream, unary), dataFrame(stream, payload, endStream));
    const trailers = await client.trailers(stream);
    equal(trailers["grpc-status"], status, trailers["grpc-message"]);
    ok(message.test(decodeURIComponent(trailers["grpc-message"] ?? "")), trailers["grpc-message"]);
  }
});

Deno.test("serve() refuses a request stream that ends inside a message, by DATA or by trailers", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path);
  const part = prefixed(hello).subarray(0, 7);
  const up = callFields("/test.Echo/Up");
  await client.send(headersFrame(1, up), dataFrame(1, part, endStream));
  await client.send(headersFrame(3, up), dataFrame(3, part), headersFrame(3, [["x", "y"]], endStream));
  for (const stream of [1, 3]) {
    const trailers = await client.trailers(stream);
    equal(trailers["grpc-status"], "13");
    equal(trailers["grpc-message"], "grpc: the request ends inside a message");
  }
  ok(await echo.settles(() => echo.echo.live === 0));
});

Deno.test("serve() escapes a status message that is not ASCII", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path);
  const text = 'NotFound image "schön\n100%"';
  await client.send(
    headersFrame(1, callFields("/test.Echo/Fail")),
    dataFrame(1, prefixed(new TextEncoder().encode(text)), endStream),
  );
  const trailers = await client.trailers(1);
  equal(trailers[":status"], "200");
  equal(trailers["grpc-message"], 'image "sch%C3%B6n%0A100%25": not found');
});

Deno.test("serve() ends a client that resets its streams without end, not one that gives many calls up", async () => {
  await using echo = await EchoServer.start();
  const hang = callFields("/test.Echo/Hang");
  const givenUp = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => {
      const stream = from + index * 2;
      return [headersFrame(stream, hang), dataFrame(stream, prefixed(hello), 1), numberFrame(3, stream, 8)];
    }).flat();
  using gentle = await RawClient.open(echo.path);
  await gentle.send(...givenUp(1, 500));
  await gentle.ping();
  using rapid = await RawClient.open(echo.path);
  for (let round = 0; round < 40 && !rapid.ended; round++) await rapid.send(...givenUp(1 + round * 2_000, 1_000));
  equal(await rapid.goAway(), errorCodes.enhanceYourCalm);
  ok(await echo.settles(() => echo.echo.live === 0));
});

for (
  const [what, part] of [
    ["PING", frame(frameTypes.ping, 0, 0, new Uint8Array(8))],
    ["SETTINGS", settingsFrame([[settings.initialWindowSize, 100]])],
    ["empty DATA", dataFrame(1, empty)],
    ["PRIORITY", frame(frameTypes.priority, 0, 1, new Uint8Array(5))],
    ["unknown frames", frame(0x42, 0, 0, empty)],
  ] as const
) {
  Deno.test(`serve() ends a client that sends ${what} without end`, async () => {
    await using echo = await EchoServer.start();
    using client = await RawClient.open(echo.path);
    await client.send(headersFrame(1, callFields("/test.Echo/Up")));
    const many = new Uint8Array(Uint8Array.from(Array.from({ length: 1_000 }, () => [...part]).flat()));
    for (let round = 0; round < 200 && !client.ended; round++) await client.send(many);
    equal(await client.goAway(), errorCodes.enhanceYourCalm);
  });
}

Deno.test("drain() says GOAWAY, lets calls end, and takes no new ones", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path, [[settings.initialWindowSize, 10]]);
  await client.send(
    headersFrame(1, callFields("/test.Echo/Down")),
    dataFrame(1, prefixed(downRequest(1, 100)), endStream),
  );
  await client.until("DATA", () => client.data(1).length === 10);
  const drained = echo.server.drain(AbortSignal.timeout(10_000));
  const first = await client.frame(frameTypes.goAway, 0);
  equal(first.payload[7], errorCodes.noError);
  await client.ping();
  await client.send(numberFrame(frameTypes.windowUpdate, 1, 100));
  equal((await client.trailers(1))["grpc-status"], "0");
  await drained;
  await client.until("the end", () => client.ended);
});

Deno.test("drain() ends calls that do not end when its signal is aborted", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path);
  await client.send(headersFrame(1, callFields("/test.Echo/Hang")), dataFrame(1, prefixed(hello), endStream));
  ok(await echo.settles(() => echo.echo.live === 1));
  await echo.server.drain(AbortSignal.timeout(50));
  ok(await echo.settles(() => echo.echo.live === 0));
});
