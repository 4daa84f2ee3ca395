/**
 * The server against nghttp2's clients: many calls at once, and what one call looks like frame by frame.
 *
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { connect } from "../../api/grpc/client.ts";
import { serve } from "../../api/grpc/server.ts";
import { succeed } from "../command.ts";
import { findPeer, needing } from "../peers.ts";
import { Echo, EchoDefinition, echoTable } from "./echo.ts";
import { EchoServer } from "./echo_server.ts";
import { prefixed } from "./raw_client.ts";

const peers = ["nghttp2-client"] as const;
const fields = ["content-type: application/grpc", "te: trailers"].flatMap((field) => ["-H", field]);

/** A file with the request of one call, which is removed with its scope. */
async function requestFile(bytes: number): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempFile({ prefix: "barge-grpc-", suffix: ".body" });
  await Deno.writeFile(path, prefixed(new Uint8Array(bytes).fill(0x61)));
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}

/** Connections, streams of each at a time, calls in all, bytes of a message. */
const settings: readonly [clients: number, streams: number, calls: number, bytes: number][] = [
  [1, 1, 2_000, 5],
  [1, 100, 20_000, 5],
  [10, 10, 20_000, 5],
  [64, 1, 10_000, 200],
  [4, 250, 10_000, 2_000],
  [8, 8, 500, 300_000],
];

for (const [clients, streams, calls, bytes] of settings) {
  const name = `serve() answers ${calls} calls of ${bytes} bytes by h2load, ${clients} × ${streams} at a time`;
  Deno.test(needing(name, { peers }), async () => {
    await using echo = await EchoServer.start();
    await using body = await requestFile(bytes);
    const output = await succeed([
      findPeer("nghttp2-client")!,
      ...["-c", String(clients), "-m", String(streams), "-n", String(calls), "-t", "1"],
      ...["-d", body.path, ...fields],
      ...["-B", `unix:${echo.path}`, "http://localhost/test.Echo/Unary"],
    ]);
    const counts = `requests: ${calls} total, ${calls} started, ${calls} done, ${calls} succeeded, ` +
      `0 failed, 0 errored, 0 timeout`;
    ok(output.includes(counts), output);
    ok(output.includes(`status codes: ${calls} 2xx, 0 3xx, 0 4xx, 0 5xx`), output);
    // Every answer has its message: the bytes of DATA are those of all answers, and nothing else.
    equal(/\((\d+)\) data$/m.exec(output)?.[1], String(calls * (bytes + 5)), output);
    console.log(/finished in .*/.exec(output)?.[0]);
    ok(await echo.settles(() => echo.server.connections === 0), "a connection is still open");
    equal(echo.server.calls().length, 0);
  });
}

/**
 * What nghttp got on its one stream: fields, and frames with their flags. RST_STREAM(NO_ERROR) after an early answer is
 * left out: whether nghttp still reads it depends on who is quicker.
 */
async function nghttp(port: number, path: string, body: string, more: readonly string[] = []): Promise<string[]> {
  const program = findPeer("nghttp2-client")!.replace(/h2load$/, "nghttp");
  const words = [program, "-v", "--no-dep", "-n", "-d", body, ...fields, ...more];
  const output = await succeed([...words, `http://127.0.0.1:${port}${path}`]);
  return output.split("\n").filter((line) => /stream_id=[1-9]/.test(line)).flatMap((line) => {
    const found =
      /recv (\(stream_id=\d+\) (?<field>.*)|(?<frame>HEADERS|DATA) frame <length=\d+, flags=(?<flags>0x\d\d))/;
    const { field, frame, flags } = found.exec(line)?.groups ?? {};
    return field ?? (frame === undefined ? [] : `${frame} ${flags}`);
  });
}

Deno.test(needing("serve() sends what nghttp takes for headers, data and trailers, over TCP", { peers }), async () => {
  await using body = await requestFile(5);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const server = serve(listener, echoTable(new Echo()));
  try {
    // By the order of lines, fields come before the frame that has them.
    deepEqual(await nghttp(listener.addr.port, "/test.Echo/Unary", body.path), [
      ...[":status: 200", "content-type: application/grpc", "HEADERS 0x04"],
      "DATA 0x00",
      ...["grpc-status: 0", "HEADERS 0x05"],
    ]);
    deepEqual(await nghttp(listener.addr.port, "/test.Echo/Nothing", body.path), [
      ":status: 200",
      "content-type: application/grpc",
      "grpc-status: 12",
      "grpc-message: unknown method Nothing for service test.Echo",
      "HEADERS 0x05",
    ]);
    const trailers = ["--trailer", "x-last: y"];
    const withTrailers = await nghttp(listener.addr.port, "/test.Echo/Up", body.path, trailers);
    deepEqual(withTrailers.slice(-3), ["DATA 0x00", "grpc-status: 0", "HEADERS 0x05"]);
  } finally {
    server.close();
    await server.closed;
  }
});

Deno.test("serve() and connect() do not wait for TCP to acknowledge what they sent before", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const server = serve(listener, echoTable(new Echo()));
  const tookMs: number[] = [];
  try {
    for (let connection = 0; connection < 10; connection++) {
      using channel = connect({ open: () => Deno.connect({ port: listener.addr.port }) });
      const client = channel.client(EchoDefinition);
      // Of the frames that open a connection, the last would wait for the acknowledgement of the others, and this too.
      await client.unary(new Uint8Array(5), { timeoutMs: 5_000 });
      const began = performance.now();
      await client.unary(new Uint8Array(5), { timeoutMs: 5_000 });
      tookMs.push(performance.now() - began);
    }
  } finally {
    server.close();
    await server.closed;
  }
  const median = tookMs.sort((one, other) => one - other)[5]!;
  ok(median < 30, `the second call of a connection takes ${median} ms`);
});
