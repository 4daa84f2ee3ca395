import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { decodeMessage, encodeMessage, messageLength, messageTypes } from "./message.ts";
import type { Value } from "./value.ts";

const rounds = 20_000;

/** Numbers that look random and are the same for the same seed (mulberry32). */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

Deno.test("decodeMessage() survives messages with any bytes changed: it gives a message or a Failure", () => {
  const seed = Number(Deno.env.get("FUZZ_SEED") ?? Date.now() % 1e9);
  const random = generator(seed);
  const properties: Value[] = [["a", { signature: "a(ss)", value: [["/dev/null", "rwm"]] }], ["b", {
    signature: "ay",
    value: new Uint8Array(9),
  }]];
  const original = encodeMessage({
    ...{ type: messageTypes.call, serial: 3, path: "/a/b", interface: "a.b", member: "C", destination: "d.e" },
    signature: "ssa(sv)a(sa(sv))",
    body: ["x.scope", "replace", properties, []],
  });
  const outcomes = { message: 0, failure: 0 };
  for (let round = 0; round < rounds; round++) {
    const bytes = original.slice(0, random(4) === 0 ? 16 + random(original.length - 16) : original.length);
    for (let changes = 1 + random(6); changes > 0; changes--) bytes[random(bytes.length)] = random(256);
    try {
      messageLength(bytes);
      decodeMessage(bytes);
      outcomes.message++;
    } catch (error) {
      if (!(error instanceof Failure)) throw new Error(`FUZZ_SEED=${seed}, round ${round}`, { cause: error });
      outcomes.failure++;
    }
  }
  // Cut messages cannot be whole ones, and of 20,000 some are.
  assert(outcomes.failure > 0, `FUZZ_SEED=${seed}`);
});
