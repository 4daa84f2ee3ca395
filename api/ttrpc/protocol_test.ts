import { deepEqual, equal, fail, match } from "node:assert/strict";
import { decodeResponse, encodeMetadata, putRequest, requestBytes, requestPrefix } from "./envelope.ts";
import { frameFlags, frameHeaderAt, frameHeaderBytes, frameTypes, putFrameHeader } from "./frames.ts";
import { loopback } from "./loopback_fixture.ts";

const { request, response, data } = frameTypes;
const { remoteClosed, remoteOpen, noData } = frameFlags;
const encoder = new TextEncoder();

function frame(stream: number, type: number, flags: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes + body.length);
  bytes.set(body, putFrameHeader(bytes, 0, { length: body.length, stream, type, flags }));
  return bytes;
}

function call(method: string, payload = "", service = "test.v1.Echo"): Uint8Array {
  const parts = {
    prefix: requestPrefix(service, method),
    payload: encoder.encode(payload),
    timeoutNanos: 0,
    metadata: encodeMetadata({}),
  };
  const bytes = new Uint8Array(requestBytes(parts));
  putRequest(bytes, 0, parts);
  return bytes;
}

/** A peer that speaks in bytes. */
async function rawPeer(path: string) {
  const socket = await Deno.connect({ transport: "unix", path });
  const take = async (length: number) => {
    const bytes = new Uint8Array(length);
    for (let got = 0; got < length;) {
      got += await socket.read(bytes.subarray(got)) ?? fail("the server ended the connection");
    }
    return bytes;
  };
  return {
    send: (...frames: Uint8Array[]) => socket.write(new Uint8Array(frames.flatMap((bytes) => [...bytes]))),
    async next() {
      const { length, ...header } = frameHeaderAt(await take(frameHeaderBytes), 0);
      return { ...header, body: await take(length) };
    },
    /** The next frame, which is to be a response: its stream, code, and text or payload. */
    async answer(): Promise<[number, number, string]> {
      const { stream, type, body } = await this.next();
      equal(type, response);
      const { status, payload } = decodeResponse(body);
      return [stream, status.code, status.code === 0 ? new TextDecoder().decode(payload) : status.message];
    },
    [Symbol.dispose]: () => socket.close(),
  };
}

Deno.test("serve() answers a unary call that comes in single bytes", async () => {
  await using test = await loopback();
  using peer = await rawPeer(test.path);
  for (const byte of frame(1, request, 0, call("Unary", "a"))) await peer.send(new Uint8Array([byte]));
  deepEqual(await peer.answer(), [1, 0, "a"]);
});

Deno.test("serve() ends a stream of responses with a frame of no data", async () => {
  await using test = await loopback();
  using peer = await rawPeer(test.path);
  await peer.send(frame(1, request, remoteClosed, call("Repeat", "2x1")));
  for (const [flags, text] of [[0, "y"], [0, "y"], [remoteClosed | noData, ""]] as const) {
    deepEqual(await peer.next(), { stream: 1, type: data, flags, body: encoder.encode(text) });
  }
});

Deno.test("serve() takes a stream of requests, whose empty frames are messages unless they say otherwise", async () => {
  await using test = await loopback();
  using peer = await rawPeer(test.path);
  const none = new Uint8Array();
  await peer.send(
    frame(1, request, remoteOpen, call("Collect")),
    frame(1, data, 0, encoder.encode("a")),
    frame(1, data, 0, none),
    frame(1, data, noData, none),
    frame(1, data, 0, encoder.encode("b")),
    frame(1, data, remoteClosed | noData, none),
  );
  deepEqual(await peer.answer(), [1, 0, "ab"]);
  equal(test.service.moved, 3);
});

Deno.test("serve() answers broken rules of streams on the stream, and serves on", async () => {
  await using test = await loopback();
  using peer = await rawPeer(test.path);
  const none = new Uint8Array();
  await peer.send(frame(2, request, 0, call("Unary")));
  deepEqual(await peer.answer(), [2, 3, "StreamID must be odd for client initiated streams: invalid argument"]);
  await peer.send(frame(5, request, 0, call("Unary", "x")), frame(5, request, 0, call("Unary")));
  deepEqual(await peer.answer(), [5, 3, "StreamID cannot be re-used and must increment: invalid argument"]);
  deepEqual(await peer.answer(), [5, 0, "x"]);
  await peer.send(frame(3, request, 0, call("Unary")));
  equal((await peer.answer())[1], 3);
  await peer.send(frame(7, data, 0, none));
  deepEqual(await peer.answer(), [7, 3, "StreamID is no longer active: invalid argument"]);
  await peer.send(frame(9, request, remoteOpen, call("Collect")), frame(9, data, remoteClosed, encoder.encode("a")));
  deepEqual(await peer.answer(), [9, 3, "data close message cannot include data: invalid argument"]);
  await peer.send(frame(11, request, 0, call("Unary", "wait")), frame(11, data, 0, none));
  deepEqual(await peer.answer(), [11, 3, "data handling error: stream is closed: invalid argument"]);
  await peer.send(frame(13, request, 0, new Uint8Array([0x0a, 5])));
  match((await peer.answer())[2], /^unmarshal request error: unexpected EOF/);
  await peer.send(frame(15, request, 0, call("Unary", "", "no.Such")));
  deepEqual(await peer.answer(), [15, 12, "service no.Such: not implemented"]);
  await peer.send(frame(17, request, 0, call("Nothing")));
  deepEqual(await peer.answer(), [17, 12, "method Nothing: not implemented"]);
  // Types that do not exist yet, and responses, which nobody asked for.
  await peer.send(frame(19, 9, 0xff, none), frame(19, response, 0, none), frame(21, request, 0, call("Unary", "on")));
  deepEqual(await peer.answer(), [21, 0, "on"]);
});

Deno.test("serve() throws away a frame that is too large, and answers it", async () => {
  await using test = await loopback({ messageBytesMax: 1000 });
  using peer = await rawPeer(test.path);
  const large = frame(1, request, 0, new Uint8Array(5000).fill(0x77));
  await peer.send(large.subarray(0, 3000));
  deepEqual(await peer.answer(), [
    1,
    8,
    "message length 5000 exceed maximum message size of 1000: resource exhausted",
  ]);
  await peer.send(large.subarray(3000), frame(3, request, 0, call("Unary", "on")));
  deepEqual(await peer.answer(), [3, 0, "on"]);
});

Deno.test("serve() forgets a peer that leaves in the middle of a frame", async () => {
  await using test = await loopback();
  const peer = await rawPeer(test.path);
  await peer.send(
    frame(1, request, 0, call("Unary", "wait")),
    frame(3, request, 0, call("Unary", "x")).subarray(0, 20),
  );
  for (let left = 500; left > 0 && test.service.waiting === 0; left--) await new Promise((go) => setTimeout(go, 4));
  equal(test.server.connections, 1);
  peer[Symbol.dispose]();
  for (let left = 500; left > 0 && test.server.connections > 0; left--) await new Promise((go) => setTimeout(go, 4));
  deepEqual([test.server.connections, test.service.aborted, test.server.calls().length], [0, 1, 0]);
});
