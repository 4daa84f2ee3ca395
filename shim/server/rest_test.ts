import assert from "node:assert/strict";
import { Reactor } from "../../ffi/reactor.ts";
import { within } from "../../ffi/timer.ts";
import { Rest } from "./rest.ts";

Deno.test("Rest gives memory back once after a burst, and not again until the next one", async () => {
  using reactor = new Reactor();
  let times = 0;
  let given = Promise.withResolvers<void>();
  using rest = new Rest(reactor, () => {
    times++;
    given.resolve();
  }, 100);
  const begin = performance.now();
  rest.disturb();
  rest.disturb();
  await given.promise;
  // The second one came while the first was waited for.
  assert.ok(performance.now() - begin > 190);
  assert.equal(times, 1);
  given = Promise.withResolvers<void>();
  assert.equal(await within(reactor, given.promise, 500), false);
  rest.disturb();
  await given.promise;
  assert.equal(times, 2);
});
