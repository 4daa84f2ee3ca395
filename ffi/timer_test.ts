import assert from "node:assert/strict";
import { Reactor } from "./reactor.ts";
import { after, pause, within } from "./timer.ts";

Deno.test("pause() waits as long as it is told", async () => {
  using reactor = new Reactor();
  const start = performance.now();
  await pause(reactor, 30);
  const passed = performance.now() - start;
  assert.ok(passed >= 29 && passed < 2000, `${passed} ms`);
});

Deno.test("after() does not call a handler that was closed", async () => {
  using reactor = new Reactor();
  let called = false;
  after(reactor, 5, () => called = true).close();
  await pause(reactor, 30);
  assert.equal(called, false);
});

Deno.test("within() says whether the promise was in time", async () => {
  using reactor = new Reactor();
  assert.equal(await within(reactor, Promise.resolve(), 1000), true);
  assert.equal(await within(reactor, new Promise(() => {}), 10), false);
  await assert.rejects(within(reactor, Promise.reject(new Error("no")), 1000), /no/);
});
