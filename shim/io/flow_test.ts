import assert from "node:assert/strict";
import { flags } from "../../ffi/constants.ts";
import { type Descriptor, makePipe, openFile, setNonBlocking } from "../../ffi/descriptor.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { attempt } from "../../ffi/syscall.ts";
import { pause } from "../../ffi/timer.ts";
import { withFifos } from "../../tests/stream_client.ts";
import { Flow } from "./flow.ts";
import { openTarget, pipeTarget } from "./target.ts";

/** Numbers from 0 to `below`, the same for the same seed (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = state + 0x6d2b79f5 >>> 0;
    let value = Math.imul(state ^ state >>> 15, state | 1);
    value ^= value + Math.imul(value ^ value >>> 7, value | 61);
    return ((value ^ value >>> 14) >>> 0) % below;
  };
}

function flowOf(
  reactor: Reactor,
  from: Descriptor,
  to: ConstructorParameters<typeof Flow>[1]["to"],
  kind: "pipe" | "terminal",
): Flow {
  setNonBlocking(from.number);
  const flow = new Flow(reactor, { name: "stdout", from, kind, to, discards: true, warn: () => {} });
  flow.begin();
  return flow;
}

const seed = Number(Deno.env.get("BARGE_FUZZ_SEED") ?? Math.floor(Math.random() * 2 ** 32));

for (const kind of ["pipe", "terminal"] as const) {
  Deno.test(`Flow loses and repeats no byte of a ${kind}, whoever reads when (BARGE_FUZZ_SEED=${seed})`, () =>
    withFifos(async (reactor, path) => {
      const random = randomFrom(seed);
      const { read, write } = makePipe();
      setNonBlocking(write.number);
      const flow = flowOf(reactor, read, await openTarget(reactor, { kind: "path", path: path("out") }, false), kind);
      const bytes = new Uint8Array(3_000_000).map(() => random(256));
      const got = new Uint8Array(bytes.length);
      let written = 0, received = 0;
      let reader: Descriptor | undefined;
      const buffer = new Uint8Array(200_000);
      while (received < bytes.length) {
        const size = random(3) === 0 ? 1 + random(150_000) : 1 + random(3000);
        const piece = bytes.slice(written, written + size);
        if (piece.length > 0 && random(4) > 0) {
          written += Math.max(0, attempt("write", write.number, piece, piece.length));
        }
        if (written === bytes.length) write.close();
        const choice = random(8);
        if (choice === 0) await pause(reactor, random(3));
        else if (choice === 1) await new Promise((resolve) => setTimeout(resolve, 0));
        else if (choice === 2 && reader !== undefined && written < bytes.length) {
          // After the end, leaving means that one does not want the rest.
          reader.close();
          reader = undefined;
        } else if (choice < 6) {
          reader ??= openFile(path("out"), flags("O_RDONLY", "O_NONBLOCK"));
          const count = attempt("read", reader.number, buffer, 1 + random(buffer.length));
          if (count > 0) got.set(buffer.subarray(0, count), received);
          received += Math.max(0, count);
        }
      }
      await flow.ended;
      assert.deepEqual(got, bytes);
      reader ??= openFile(path("out"), flags("O_RDONLY", "O_NONBLOCK"));
      // A reader that came after the end of the source is noticed within a second.
      let end = -1;
      for (let look = 0; look < 100 && (end = attempt("read", reader.number, buffer, 1)) < 0; look++) {
        await pause(reactor, 20);
      }
      assert.equal(end, 0, "the reader sees the end");
      reader.close();
      flow.close();
    }));
}

Deno.test("Flow goes on with what a pipe still has when its target has gone, and ends with the source", async () => {
  using reactor = new Reactor();
  const source = makePipe(), gone = makePipe();
  gone.read.close();
  const flow = flowOf(reactor, source.read, pipeTarget(gone.write), "pipe");
  for (let round = 0; round < 5; round++) {
    assert.equal(attempt("write", source.write.number, new Uint8Array(60_000), 60_000), 60_000);
    await pause(reactor, 5);
  }
  source.write.close();
  await flow.ended;
  flow.close();
});

Deno.test("Flow.close() while a thread writes closes the descriptors when it comes back", async () => {
  using reactor = new Reactor();
  const source = makePipe();
  const directory = Deno.makeTempDirSync();
  try {
    const to = await openTarget(reactor, { kind: "file", path: `${directory}/log` }, false);
    attempt("write", source.write.number, new Uint8Array(50_000), 50_000);
    const flow = flowOf(reactor, source.read, to, "pipe");
    flow.close();
    await flow.ended;
    assert.equal(Deno.statSync(`${directory}/log`).size, 50_000);
    const open = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`);
      } catch {
        return ""; // The listing's own.
      }
    });
    assert.ok(!open.includes(`${directory}/log`));
    source.write.close();
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
