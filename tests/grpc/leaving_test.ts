/**
 * Clients that come, call and leave in every way there is, and clients that stay and say nothing.
 *
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import {
  errorCodes,
  frame,
  frameFlags,
  frameTypes,
  goAwayFrame,
  numberFrame,
  preface,
  settingsFrame,
} from "../../api/grpc/frames.ts";
import { downRequest } from "./echo.ts";
import { type ChildReport, EchoChild } from "./echo_child.ts";
import { callFields, dataFrame, headersFrame, prefixed, RawClient } from "./raw_client.ts";

const { endStream } = frameFlags;
const hello = new TextEncoder().encode("hello");
const clients = 1_000;
/** So many at a time; the rest waits its turn. */
const width = 50;

/** How a client says goodbye, or does not, with three calls under way on streams 3, 5 and 7. */
const leavings: readonly [name: string, leave: (client: RawClient) => Promise<void>][] = [
  ["GOAWAY", (client) => client.send(goAwayFrame(0, errorCodes.noError, "bye"))],
  ["GOAWAY with an error", (client) => client.send(goAwayFrame(0, errorCodes.internalError, "broken"))],
  ["RST_STREAM of each stream and GOAWAY, until the server ends the connection", async (client) => {
    const resets = [3, 5, 7].map((id) => numberFrame(frameTypes.rstStream, id, errorCodes.cancel));
    await client.send(...resets, goAwayFrame(0, errorCodes.noError, ""));
    await client.until("the end", () => client.ended);
  }],
  ["RST_STREAM", (client) => client.send(numberFrame(frameTypes.rstStream, 3, errorCodes.cancel))],
  ["a frame that is half there", (client) => client.send(dataFrame(7, new Uint8Array(500)).subarray(0, 100))],
  ["a header of a frame that is half there", (client) => client.send(Uint8Array.of(0, 0, 5, 0))],
  ["a header block that is half there", (client) => client.send(frame(frameTypes.headers, 0, 9, new Uint8Array(3)))],
  ["half a connection", (client) => (client.socket as Deno.UnixConn).closeWrite()],
  ["nothing", () => Promise.resolve()],
];

/** Handlers that a client leaves behind: those of three streams. */
const abandonedEach = 3;

async function oneClient(path: string, number: number): Promise<void> {
  using client = await RawClient.open(path);
  await client.send(
    headersFrame(1, callFields("/test.Echo/Unary")),
    dataFrame(1, prefixed(hello), endStream),
    headersFrame(3, callFields("/test.Echo/Hang")),
    dataFrame(3, prefixed(hello), endStream),
    headersFrame(5, callFields("/test.Echo/Down")),
    // More than the client's window, so that the server's handler has to wait.
    dataFrame(5, prefixed(downRequest(100, 10_000)), endStream),
    headersFrame(7, callFields("/test.Echo/Up")),
    dataFrame(7, prefixed(hello)),
  );
  equal((await client.trailers(1))["grpc-status"], "0");
  await client.until("a message", () => client.data(5).length > 10_000);
  await leavings[number % leavings.length]![1](client);
}

/** So many clients, a few at a time, and what the server holds when they have left. */
async function thousand(child: EchoChild): Promise<ChildReport> {
  let next = 0;
  const worker = async () => {
    while (next < clients) await oneClient(child.path, next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return await child.calm();
}

Deno.test("serve() keeps nothing of 1,000 clients that leave by GOAWAY, RST_STREAM, in a frame or without a word", async () => {
  await using child = await EchoChild.start();
  const first = await thousand(child);
  const second = await thousand(child);
  for (const [report, times] of [[first, 1], [second, 2]] as const) {
    deepEqual([report.connections, report.calls, report.live], [1, 1, 0]);
    equal(report.abandoned, clients * abandonedEach * times);
  }
  const grownBytes = second.heapBytes - first.heapBytes;
  console.log(`the second thousand adds ${grownBytes} bytes; heap ${second.heapBytes}, resident ${second.rssBytes}`);
  ok(grownBytes < clients * 256, `${grownBytes} bytes more after ${clients} further clients`);
  deepEqual(await child.echo().unary(hello, { timeoutMs: 5_000 }), hello);
});

const idleClients = 8_000;
/** What one may cost the server: two small buffers, the windows and streams' tables. */
const idleBytesMax = 16_384;

/** A connection that is open on both sides and says nothing more. */
async function idleClient(path: string): Promise<Deno.Conn> {
  const socket = await Deno.connect({ transport: "unix", path });
  const ack = frame(frameTypes.settings, frameFlags.ack, 0, new Uint8Array());
  for (const bytes of [preface, settingsFrame([]), ack]) await socket.write(bytes);
  // The server's SETTINGS are there, and its acknowledgement of ours.
  await socket.read(new Uint8Array(1024));
  return socket;
}

Deno.test(`serve() carries ${idleClients} idle connections, answers as before, and forgets them`, async () => {
  await using child = await EchoChild.start();
  const before = await child.report();
  const sockets: Deno.Conn[] = [];
  let begun = 0;
  const worker = async () => {
    while (begun++ < idleClients) sockets.push(await idleClient(child.path));
  };
  try {
    await Promise.all(Array.from({ length: width }, worker));
    const during = await child.report();
    equal(during.connections, idleClients + 1);
    const heapEach = (during.heapBytes - before.heapBytes) / sockets.length;
    const rssEach = (during.rssBytes - before.rssBytes) / sockets.length;
    const tookMs = await latencies(child);
    console.log(
      `${sockets.length} idle connections: ${heapEach.toFixed(0)} bytes of heap each, ${
        rssEach.toFixed(0)
      } resident; ` +
        `a call takes ${tookMs[50]!.toFixed(2)} ms, the slowest of 100 ${tookMs[99]!.toFixed(2)} ms`,
    );
    ok(heapEach < idleBytesMax, `${heapEach} bytes for each idle connection`);
    ok(tookMs[50]! < 20, `the median call takes ${tookMs[50]} ms`);
  } finally {
    for (const socket of sockets) socket.close();
  }
  const after = await child.calm();
  deepEqual([after.connections, after.calls], [1, 1]);
  const keptBytes = after.heapBytes - before.heapBytes;
  ok(keptBytes < idleClients * 256, `${keptBytes} bytes are kept of connections that have ended`);
});

/** Of 100 calls, how long each took, shortest first. */
async function latencies(child: EchoChild): Promise<number[]> {
  const echo = child.echo(), tookMs: number[] = [];
  for (let call = 0; call < 100; call++) {
    const began = performance.now();
    await echo.unary(hello, { timeoutMs: 10_000 });
    tookMs.push(performance.now() - began);
  }
  return tookMs.sort((one, other) => one - other);
}
