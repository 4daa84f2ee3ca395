/**
 * The engine against sessions that were valid once. A seed that found something: `BARGE_FUZZ_SEED=N deno test …`.
 *
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { concatBytes } from "../../api/bytes.ts";
import { connect } from "../../api/grpc/client.ts";
import {
  ConnectionError,
  errorCodes,
  frame,
  frameFlags,
  frameTypes,
  settingsFrame,
  uint32At,
} from "../../api/grpc/frames.ts";
import { HeaderDecoder } from "../../api/grpc/hpack/decoder.ts";
import { encodeHeaders } from "../../api/grpc/hpack/encoder.ts";
import type { Connection } from "../../api/rpc/connection.ts";
import { downRequest, EchoDefinition } from "./echo.ts";
import { EchoServer } from "./echo_server.ts";
import { prefixed } from "./raw_client.ts";
import { mutated, noise, oneOf, type Random, randomOf, validSession } from "./sessions.ts";

const seed = Number(Deno.env.get("BARGE_FUZZ_SEED") ?? Date.now() % 2 ** 32) >>> 0;
const hello = new TextEncoder().encode("hello");

/** Bytes that no server can take, whatever came before: the length of any frame that swallows some of it is less. */
const poison = new Uint8Array(600_000).fill(0xff);
/** A connection that is over has to end within this time. */
const endMsMax = 5_000;

/** How a bad client goes. */
type Leaving = "vanish" | "halfClose" | "poison";

/** Writes all of it; a server that has ended the connection is what the test is after. */
async function writeAll(socket: Deno.UnixConn, bytes: Uint8Array, random: Random): Promise<void> {
  try {
    for (let at = 0; at < bytes.length;) {
      const chunk = bytes.subarray(at, at + oneOf(random, [1 + random(20), 1 + random(5_000), bytes.length]));
      at += await socket.write(chunk);
    }
  } catch (error) {
    ok(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset, String(error));
  }
}

/** Whether there is a GOAWAY among the bytes that blames the server itself: that is a fault of ours. */
function blamesServer(bytes: Uint8Array): boolean {
  return bytes.some((byte, at) =>
    byte === frameTypes.goAway && at + 14 <= bytes.length && bytes.subarray(at + 1, at + 6).every((zero) =>
      zero === 0
    ) &&
    uint32At(bytes, at + 10) === errorCodes.internalError
  );
}

/** Reads until the server ends the connection, or the test does; says whether it was the server. */
async function readToEnd(socket: Deno.UnixConn, what: string): Promise<boolean> {
  const buffer = new Uint8Array(1 << 16);
  let last: Uint8Array = new Uint8Array();
  try {
    for (let count = 0;; count = await socket.read(buffer) ?? -1) {
      if (count < 0) return true;
      last = buffer.slice(Math.max(0, count - 500), count);
    }
  } catch (error) {
    return error instanceof Deno.errors.ConnectionReset;
  } finally {
    ok(!blamesServer(last), `${what}: ${new TextDecoder().decode(last).replace(/[^ -~]+/g, " ").slice(-100)}`);
  }
}

/** One bad client from its connection to its end. Fails where the server does not end it in time. */
async function badClient(path: string, random: Random, what: string): Promise<void> {
  const bytes = concatBytes(mutated(validSession(random), random));
  const leaving: Leaving = oneOf(random, ["vanish", "vanish", "halfClose", "halfClose", "poison"]);
  const socket = await Deno.connect({ transport: "unix", path });
  const ended = readToEnd(socket, what);
  await writeAll(socket, bytes, random);
  if (leaving === "poison") await writeAll(socket, poison, () => 2);
  if (leaving === "halfClose") await socket.closeWrite().catch(() => {});
  if (leaving !== "vanish") {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<false>((resolve) => timer = setTimeout(resolve, endMsMax, false));
    ok(await Promise.race([ended, late]), `${what}: after ${leaving} the server did not end the connection`);
    clearTimeout(timer);
  }
  try {
    socket.close();
  } catch {
    // It is closed.
  }
  await ended;
}

Deno.test(`serve() outlives damaged sessions, ends them in time and keeps nothing of them (seed ${seed})`, async () => {
  await using echo = await EchoServer.start({ messageBytesMax: 1 << 16 });
  const good = echo.client();
  const untilMs = performance.now() + 5_000;
  let sessions = 0;
  // Four at a time share the server's turns. Each has its own seed, so that what one does depends on no other.
  const worker = async () => {
    while (performance.now() < untilMs && sessions < 2_000) {
      const number = sessions++;
      const own = (seed + Math.imul(number, 0x9e37_79b9)) >>> 0;
      await badClient(echo.path, randomOf(own), `seed ${seed}, session ${number}`);
      if (number % 20 === 0) {
        deepEqual(await good.unary(hello, { timeoutMs: 2_000 }), hello, `seed ${seed}, session ${number}`);
      }
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  deepEqual(await good.unary(hello, { timeoutMs: 2_000 }), hello);
  ok(await echo.settles(() => echo.server.connections === 1), `seed ${seed}: ${echo.server.connections} connections`);
  ok(await echo.settles(() => echo.echo.live === 0), `seed ${seed}: ${echo.echo.live} handlers run`);
  equal(echo.server.calls().length, 0, `seed ${seed}`);
  ok(sessions > 50, `only ${sessions} sessions in five seconds`);
  console.log(`${sessions} sessions`);
});

Deno.test(`HeaderDecoder.decode() takes or refuses any bytes (seed ${seed})`, () => {
  const random = randomOf(seed);
  for (let round = 0; round < 5_000; round++) {
    const decoder = new HeaderDecoder({ tableBytesMax: 4096, listBytesMax: 1 << 16 });
    for (let block = 0; block < 4; block++) {
      const bytes = random(2) === 0
        ? noise(random, random(120))
        : encodeHeaders([[`x-${random(5)}`, "y".repeat(random(80))], [":path", "/a/b"]]).slice();
      if (bytes.length > 0 && random(2) === 0) bytes[random(bytes.length)] = random(256);
      try {
        const fields = decoder.decode(bytes);
        const long = fields?.find(([name, value]) => name.length + value.length > 1 << 16);
        equal(long, undefined, `seed ${seed}, round ${round}`);
      } catch (error) {
        ok(error instanceof ConnectionError, `seed ${seed}, round ${round}: ${error}`);
        break;
      }
    }
  }
});

/** What a good server would say to the calls of the test below, as frames. */
function validAnswers(random: Random): Uint8Array[] {
  const frames = [settingsFrame([]), frame(frameTypes.settings, frameFlags.ack, 0, new Uint8Array())];
  for (const stream of [1, 3, 5, 7]) {
    const begin = encodeHeaders([[":status", "200"], ["content-type", "application/grpc"]]);
    const end = encodeHeaders([["grpc-status", String(random(3))], ["grpc-message", "text%20"]]);
    frames.push(
      frame(frameTypes.headers, frameFlags.endHeaders, stream, begin),
      frame(frameTypes.data, 0, stream, prefixed(noise(random, random(500)))),
      frame(frameTypes.headers, frameFlags.endHeaders | frameFlags.endStream, stream, end),
    );
  }
  return frames;
}

/** A socket whose peer says these bytes at once, and nothing more until it is closed. */
function socketThatSays(bytes: Uint8Array): Connection {
  let at = 0;
  const closed = Promise.withResolvers<null>();
  return {
    async read(into) {
      if (at === bytes.length) return await closed.promise;
      const count = Math.min(into.length, bytes.length - at);
      into.set(bytes.subarray(at, at += count));
      return count;
    },
    write: (sent) => Promise.resolve(sent.length),
    close: () => closed.resolve(null),
  };
}

Deno.test(`connect() ends every call, whatever a server answers (seed ${seed})`, async () => {
  const random = randomOf(seed);
  for (let round = 0; round < 500; round++) {
    const says = concatBytes(mutated(validAnswers(random), random));
    using channel = connect({ open: () => Promise.resolve(socketThatSays(says)), messageBytesMax: 1 << 16 });
    const client = channel.client(EchoDefinition);
    const both = client.both(async function* () {
      yield hello;
      await Promise.resolve();
    }());
    const calls = [
      client.unary(hello, { timeoutMs: 2_000 }),
      Array.fromAsync(client.down(downRequest(1, 1), { timeoutMs: 2_000 })),
      Array.fromAsync(both),
      client.hang(hello, { timeoutMs: 2_000 }),
    ];
    const ended = Promise.allSettled(calls);
    await new Promise((resolve) => setTimeout(resolve));
    channel.close();
    for (const outcome of await ended) {
      if (outcome.status === "fulfilled") continue;
      equal(outcome.reason?.name, "Failure", `seed ${seed}, round ${round}: ${outcome.reason}`);
    }
  }
});
