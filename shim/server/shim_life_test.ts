import assert from "node:assert/strict";
import { Reactor } from "../../ffi/reactor.ts";
import { within } from "../../ffi/timer.ts";
import { ShimLifetime } from "./shim_life.ts";

/** Whether the shim is to end by now. */
async function isOver(reactor: Reactor, life: ShimLifetime): Promise<boolean> {
  return await within(reactor, life.over, 1);
}

Deno.test("ShimLifetime ends at a shutdown without containers, and not before", async () => {
  using reactor = new Reactor();
  const life = new ShimLifetime(reactor, { placesMax: 10, lingers: false });
  life.coming("a");
  life.shutDown();
  assert.equal(await isOver(reactor, life), false);
  life.gone("a");
  assert.equal(await isOver(reactor, life), false);
  life.shutDown();
  assert.equal(await isOver(reactor, life), true);
  assert.throws(() => life.coming("b"), { code: "Unavailable" });
  assert.throws(() => life.reserve("b"), { code: "Unavailable" });
});

Deno.test("ShimLifetime ignores a shutdown while a place is reserved, and where it lingers", async () => {
  using reactor = new Reactor();
  const reserved = new ShimLifetime(reactor, { placesMax: 10, lingers: false });
  reserved.reserve("a");
  reserved.shutDown();
  assert.equal(await isOver(reactor, reserved), false);
  const lingering = new ShimLifetime(reactor, { placesMax: 10, lingers: true });
  lingering.shutDown();
  assert.equal(await isOver(reactor, lingering), false);
  for (const life of [reserved, lingering]) life.end();
});

Deno.test("ShimLifetime counts reservations as places, and each container once", () => {
  using reactor = new Reactor();
  const life = new ShimLifetime(reactor, { placesMax: 2, lingers: true });
  life.reserve("a");
  life.reserve("a");
  life.coming("b");
  assert.throws(() => life.reserve("c"), { code: "ResourceExhausted" });
  assert.throws(() => life.coming("c"), { code: "ResourceExhausted" });
  life.coming("a");
  assert.deepEqual([life.containers, life.reserved], [2, 0]);
  life.gone("b");
  life.reserve("c");
  life.end();
});
