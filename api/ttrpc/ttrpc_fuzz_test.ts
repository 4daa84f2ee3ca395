import { equal, ok } from "node:assert/strict";
import { EchoDefinition } from "../rpc/echo_fixture.ts";
import { connect } from "./client.ts";
import { encodeMetadata, putRequest, requestBytes, requestPrefix } from "./envelope.ts";
import { frameHeaderBytes, frameTypes, putFrameHeader } from "./frames.ts";
import { loopback } from "./loopback_fixture.ts";

const seed = Number(Deno.env.get("BARGE_FUZZ_SEED") ?? Date.now() % 2 ** 32) >>> 0;

/** A generator of numbers below its argument (linear congruence). */
function generator(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

/** Frames that are nearly right: wrong streams, flags, types and lengths, and bytes changed on the way. */
function nonsense(random: (below: number) => number): Uint8Array {
  const parts: number[] = [];
  for (let count = 1 + random(20); count > 0; count--) {
    const request = {
      prefix: requestPrefix(random(8) === 0 ? "x" : "test.v1.Echo", ["Unary", "Collect", "Repeat", "Chat"][random(4)]!),
      payload: new TextEncoder().encode(["", "a", "wait", "fail", "3x3", "stop"][random(6)]),
      timeoutNanos: random(3) * 1e6,
      metadata: encodeMetadata(random(2) === 0 ? {} : { "containerd-namespace": "n" }),
    };
    const body = new Uint8Array(requestBytes(request));
    putRequest(body, 0, request);
    const frame = new Uint8Array(frameHeaderBytes + body.length);
    const length = random(20) === 0 ? random(2 ** 32) : body.length;
    const type = random(3) === 0 ? random(5) : random(2) === 0 ? frameTypes.request : frameTypes.data;
    frame.set(body, putFrameHeader(frame, 0, { length, stream: random(40), type, flags: random(8) }));
    if (random(4) === 0) frame[random(frame.length)] = random(256);
    parts.push(...frame.subarray(0, random(10) === 0 ? random(frame.length) : frame.length));
  }
  return new Uint8Array(parts);
}

Deno.test(`serve() outlives nonsense from its clients (seed ${seed})`, async () => {
  const random = generator(seed);
  await using test = await loopback();
  const client = test.channel.client(EchoDefinition);
  for (let round = 0; round < 300; round++) {
    const peer = await Deno.connect({ transport: "unix", path: test.path });
    await peer.write(nonsense(random)).catch((error) => ok(error instanceof Deno.errors.BrokenPipe, String(error)));
    if (random(2) === 0) await new Promise((resolve) => setTimeout(resolve, random(3)));
    peer.close();
    if (round % 20 === 0) equal(await client.unary("on"), "on", `seed ${seed}, round ${round}`);
  }
  for (let left = 500; left > 0 && test.server.connections > 1; left--) await new Promise((go) => setTimeout(go, 4));
  equal(test.server.connections, 1);
  equal(test.server.calls().length, 0);
});

Deno.test(`connect() ends its calls, whatever nonsense a server answers (seed ${seed})`, async () => {
  const random = generator(seed);
  for (let round = 0; round < 200; round++) {
    const answer = nonsense(random);
    let given = false;
    const gate = Promise.withResolvers<null>();
    const channel = connect({
      open: () =>
        Promise.resolve({
          read(into: Uint8Array) {
            if (given) return gate.promise;
            given = true;
            const count = Math.min(into.length, answer.length);
            into.set(answer.subarray(0, count));
            return Promise.resolve(count);
          },
          write: (bytes: Uint8Array) => Promise.resolve(bytes.length),
          close: () => gate.resolve(null),
        }),
    });
    const client = channel.client(EchoDefinition);
    const calls = [
      client.unary("a"),
      Array.fromAsync(client.repeat("b")),
      client.unary("c"),
      Array.fromAsync(client.chat(async function* () {
        yield "d";
      }())),
    ];
    await new Promise((resolve) => setTimeout(resolve));
    channel.close();
    equal((await Promise.allSettled(calls)).length, 4, `seed ${seed}, round ${round}`);
  }
});
