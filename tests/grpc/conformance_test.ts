/**
 * The server against a client that breaks one rule at a time (RFC 9113, RFC 7541), and against unusual clients that
 * break none.
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
  settings,
  settingsFrame,
} from "../../api/grpc/frames.ts";
import type { Field } from "../../api/grpc/hpack/static_table.ts";
import { EchoServer } from "./echo_server.ts";
import { callFields, dataFrame, headersFrame, prefixed, RawClient } from "./raw_client.ts";

const { endStream, endHeaders, padded, priority, ack } = frameFlags;
const unary = callFields("/test.Echo/Unary");
const hello = new TextEncoder().encode("hello");
const empty = new Uint8Array();
const bytes = (...values: number[]) => Uint8Array.from(values);

/** Each ends the connection with GOAWAY and this code. */
const connectionErrors: readonly [what: string, code: number, ...frames: Uint8Array[]][] = [
  ["DATA on stream 0", errorCodes.protocolError, dataFrame(0, hello)],
  ["DATA on an idle stream", errorCodes.protocolError, dataFrame(1, hello)],
  ["HEADERS on stream 0", errorCodes.protocolError, headersFrame(0, unary)],
  ["HEADERS on an even stream", errorCodes.protocolError, headersFrame(2, unary)],
  ["RST_STREAM of an idle stream", errorCodes.protocolError, numberFrame(frameTypes.rstStream, 1, 8)],
  ["RST_STREAM of stream 0", errorCodes.protocolError, numberFrame(frameTypes.rstStream, 0, 8)],
  ["RST_STREAM of 3 bytes", errorCodes.frameSizeError, frame(frameTypes.rstStream, 0, 1, bytes(1, 2, 3))],
  ["SETTINGS on a stream", errorCodes.protocolError, frame(frameTypes.settings, 0, 1, empty)],
  ["SETTINGS of 5 bytes", errorCodes.frameSizeError, frame(frameTypes.settings, 0, 0, bytes(0, 1, 0, 0, 0))],
  [
    "an acknowledgement with settings",
    errorCodes.frameSizeError,
    frame(frameTypes.settings, ack, 0, new Uint8Array(6)),
  ],
  ["ENABLE_PUSH of 2", errorCodes.protocolError, settingsFrame([[settings.enablePush, 2]])],
  [
    "INITIAL_WINDOW_SIZE too large",
    errorCodes.flowControlError,
    settingsFrame([[settings.initialWindowSize, 2 ** 31]]),
  ],
  ["MAX_FRAME_SIZE too small", errorCodes.protocolError, settingsFrame([[settings.maxFrameSize, 16_383]])],
  ["MAX_FRAME_SIZE too large", errorCodes.protocolError, settingsFrame([[settings.maxFrameSize, 2 ** 24]])],
  ["PING on a stream", errorCodes.protocolError, frame(frameTypes.ping, 0, 1, new Uint8Array(8))],
  ["PING of 7 bytes", errorCodes.frameSizeError, frame(frameTypes.ping, 0, 0, new Uint8Array(7))],
  ["PRIORITY of 4 bytes", errorCodes.frameSizeError, frame(frameTypes.priority, 0, 1, new Uint8Array(4))],
  ["GOAWAY on a stream", errorCodes.protocolError, frame(frameTypes.goAway, 0, 1, new Uint8Array(8))],
  ["GOAWAY of 7 bytes", errorCodes.frameSizeError, frame(frameTypes.goAway, 0, 0, new Uint8Array(7))],
  ["WINDOW_UPDATE of 0", errorCodes.protocolError, numberFrame(frameTypes.windowUpdate, 0, 0)],
  ["WINDOW_UPDATE of 3 bytes", errorCodes.frameSizeError, frame(frameTypes.windowUpdate, 0, 0, bytes(0, 0, 1))],
  ["a window over its limit", errorCodes.flowControlError, numberFrame(frameTypes.windowUpdate, 0, 0x7fff_ffff)],
  ["WINDOW_UPDATE of an idle stream", errorCodes.protocolError, numberFrame(frameTypes.windowUpdate, 3, 1)],
  ["PUSH_PROMISE", errorCodes.protocolError, frame(frameTypes.pushPromise, endHeaders, 1, bytes(0, 0, 0, 2))],
  ["CONTINUATION of nothing", errorCodes.protocolError, frame(frameTypes.continuation, endHeaders, 1, empty)],
  [
    "another frame within a header block",
    errorCodes.protocolError,
    frame(frameTypes.headers, 0, 1, empty),
    frame(frameTypes.ping, 0, 0, new Uint8Array(8)),
  ],
  [
    "a header block that goes on on another stream",
    errorCodes.protocolError,
    frame(frameTypes.headers, 0, 1, empty),
    frame(frameTypes.continuation, endHeaders, 3, empty),
  ],
  [
    "more padding than payload",
    errorCodes.protocolError,
    frame(frameTypes.headers, padded | endHeaders, 1, bytes(9, 1)),
  ],
  ["HEADERS too short for its priority", errorCodes.frameSizeError, frame(1, priority | endHeaders, 1, bytes(0, 0))],
  ["a header block with index 0", errorCodes.compressionError, frame(1, endHeaders, 1, bytes(0x80))],
  ["a header block that is cut", errorCodes.compressionError, frame(1, endHeaders, 1, bytes(0x00, 0x7f, 0x41))],
  ["a frame over our limit", errorCodes.frameSizeError, bytes(0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1)],
  ["streams that go backwards", errorCodes.protocolError, headersFrame(5, unary), headersFrame(4, unary)],
];

for (const [what, code, ...frames] of connectionErrors) {
  Deno.test(`serve() ends a connection for ${what}, and takes the next`, async () => {
    await using echo = await EchoServer.start();
    using client = await RawClient.open(echo.path);
    await client.send(...frames);
    equal(await client.goAway(), code);
    ok(await echo.settles(() => echo.server.connections === 0), "the connection is still open");
    deepEqual(await echo.client().unary(hello), hello);
  });
}

/** Each resets its stream with this code; the connection goes on. */
const streamErrors: readonly [what: string, code: number, ...frames: Uint8Array[]][] = [
  ["WINDOW_UPDATE of 0", errorCodes.protocolError, headersFrame(1, unary), numberFrame(frameTypes.windowUpdate, 1, 0)],
  [
    "a window over its limit",
    errorCodes.flowControlError,
    headersFrame(1, unary),
    numberFrame(frameTypes.windowUpdate, 1, 0x7fff_ffff),
  ],
  [
    "DATA after its end",
    errorCodes.streamClosed,
    headersFrame(1, callFields("/test.Echo/Hang")),
    dataFrame(1, prefixed(hello), endStream),
    dataFrame(1, hello),
  ],
  ["a second HEADERS without an end", errorCodes.protocolError, headersFrame(1, unary), headersFrame(1, unary)],
  ["no path", errorCodes.protocolError, headersFrame(1, [[":method", "POST"], [":scheme", "http"]])],
  ["two paths", errorCodes.protocolError, headersFrame(1, callFields("/a/b", [":path", "/c/d"]))],
  ["an unknown pseudo-header", errorCodes.protocolError, headersFrame(1, callFields("/a/b", [":x", "y"]))],
  [
    "a pseudo-header after others",
    errorCodes.protocolError,
    headersFrame(1, [["te", "trailers"], ...unary.slice(0, 4)]),
  ],
  ["a response's pseudo-header", errorCodes.protocolError, headersFrame(1, callFields("/a/b", [":status", "200"]))],
  ["a name in upper case", errorCodes.protocolError, headersFrame(1, callFields("/a/b", ["X-Y", "z"]))],
  ["a connection's header", errorCodes.protocolError, headersFrame(1, callFields("/a/b", ["connection", "close"]))],
  ["te that is not trailers", errorCodes.protocolError, headersFrame(1, callFields("/a/b", ["te", "gzip"]))],
];

for (const [what, code, ...frames] of streamErrors) {
  Deno.test(`serve() resets a stream for ${what}, and keeps the connection`, async () => {
    await using echo = await EchoServer.start();
    using client = await RawClient.open(echo.path);
    await client.send(...frames);
    equal(await client.reset(1), code);
    await client.ping();
    await client.send(headersFrame(7, unary), dataFrame(7, prefixed(hello), endStream));
    equal((await client.trailers(7))["grpc-status"], "0");
  });
}

/** Refusals: what the answer's headers say. */
const refusals: readonly [what: string, fields: readonly Field[], expected: Record<string, string>][] = [
  ["another method than POST", [[":method", "GET"], ...unary.slice(1)], { ":status": "405" }],
  [
    "another type than gRPC",
    [...unary.slice(0, 4), ["content-type", "text/html"], ["te", "trailers"]],
    { ":status": "415" },
  ],
  [
    "an unknown service",
    callFields("/no.Such/Unary"),
    { ":status": "200", "grpc-status": "12", "grpc-message": "unknown service no.Such" },
  ],
  [
    "an unknown method",
    callFields("/test.Echo/No"),
    { ":status": "200", "grpc-status": "12", "grpc-message": "unknown method No for service test.Echo" },
  ],
  ["a path of one part", callFields("/nothing"), {
    "grpc-status": "12",
    "grpc-message": 'malformed method name: "/nothing"',
  }],
  [
    "a compression",
    callFields("/test.Echo/Unary", ["grpc-encoding", "gzip"]),
    {
      "grpc-status": "12",
      "grpc-message": 'grpc: Decompressor is not installed for grpc-encoding "gzip"',
    },
  ],
  ["a malformed timeout", callFields("/test.Echo/Unary", ["grpc-timeout", "1x"]), { "grpc-status": "13" }],
  ["a negative timeout", callFields("/test.Echo/Unary", ["grpc-timeout", "-1S"]), { "grpc-status": "13" }],
];

for (const [what, fields, expected] of refusals) {
  Deno.test(`serve() refuses ${what} with trailers only, and RST_STREAM(NO_ERROR) after them`, async () => {
    await using echo = await EchoServer.start();
    using client = await RawClient.open(echo.path);
    await client.send(headersFrame(1, fields));
    const trailers = await client.trailers(1);
    for (const [name, value] of Object.entries(expected)) equal(trailers[name], value);
    equal(await client.reset(1), errorCodes.noError);
    await client.ping();
  });
}

const answers: readonly [what: string, ...frames: Uint8Array[]][] = [
  ["one frame each", headersFrame(1, unary), dataFrame(1, prefixed(hello), endStream)],
  ["an empty DATA that ends it", headersFrame(1, unary), dataFrame(1, prefixed(hello)), dataFrame(1, empty, endStream)],
  [
    "trailers that end it",
    headersFrame(1, unary),
    dataFrame(1, prefixed(hello)),
    headersFrame(1, [["x", "y"]], endStream),
  ],
  [
    "a byte in each frame",
    headersFrame(1, unary),
    ...[...prefixed(hello)].map((byte) => dataFrame(1, bytes(byte))),
    dataFrame(1, empty, endStream),
  ],
  [
    "padding",
    headersFrame(1, unary),
    dataFrame(1, Uint8Array.from([3, ...prefixed(hello), 0, 0, 0]), endStream | padded),
  ],
  [
    "unknown frames",
    frame(0xbe, 0xff, 1, hello),
    headersFrame(1, unary),
    frame(0x77, 0, 0, hello),
    dataFrame(1, prefixed(hello), 1),
  ],
  ["unknown settings", settingsFrame([[0x99, 7]]), headersFrame(1, unary), dataFrame(1, prefixed(hello), endStream)],
];

for (const [what, ...frames] of answers) {
  Deno.test(`serve() answers a call that has ${what}`, async () => {
    await using echo = await EchoServer.start();
    for (const atOnce of [true, false]) {
      using client = await RawClient.open(echo.path);
      if (atOnce) await client.send(...frames);
      // Cut anywhere: what comes in pieces of any size is the same.
      else for (const part of frames) for (const byte of part) await client.send(bytes(byte));
      equal((await client.trailers(1))["grpc-status"], "0");
      deepEqual(client.data(1), prefixed(hello));
    }
  });
}

Deno.test("serve() puts a header block together that comes with padding, priority and CONTINUATION", async () => {
  await using echo = await EchoServer.start();
  using client = await RawClient.open(echo.path);
  const block = headersFrame(1, callFields("/test.Echo/Metadata", ["x-long", "z".repeat(20_000)])).subarray(9);
  const first = bytes(2, 0, 0, 0, 0, 0, ...block.subarray(0, 10), 0, 0);
  await client.send(
    frame(frameTypes.headers, padded | priority, 1, first),
    frame(frameTypes.continuation, 0, 1, block.subarray(10, 9_000)),
    frame(frameTypes.continuation, endHeaders, 1, block.subarray(9_000)),
    dataFrame(1, prefixed(hello), endStream),
  );
  equal((await client.trailers(1))["grpc-status"], "0");
  equal(JSON.parse(new TextDecoder().decode(client.data(1).subarray(5)))["x-long"].length, 20_000);
});
