import assert from "node:assert/strict";
import { pause, sleep, untilAborted } from "./abort.ts";

Deno.test("pause() ends with the signal's reason", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const paused = pause(60_000, controller.signal);
  controller.abort(reason);
  await assert.rejects(paused, reason);
  await assert.rejects(pause(60_000, controller.signal), reason);
});

Deno.test("sleep() ends with the signal, which is no failure", async () => {
  const controller = new AbortController();
  const asleep = sleep(60_000, controller.signal);
  controller.abort(new Error("enough"));
  await asleep;
  await sleep(60_000, controller.signal);
});

Deno.test("untilAborted() gives what comes, and what comes too late to be discarded", async () => {
  const controller = new AbortController();
  assert.equal(await untilAborted(Promise.resolve(1), controller.signal), 1);
  await assert.rejects(untilAborted(Promise.reject(new Error("no")), controller.signal), { message: "no" });
  const late = Promise.withResolvers<number>();
  const discarded: number[] = [];
  const waiting = untilAborted(late.promise, controller.signal, (value) => discarded.push(value));
  controller.abort(new Error("enough"));
  await assert.rejects(waiting, { message: "enough" });
  late.resolve(2);
  await late.promise;
  await Promise.resolve();
  assert.deepEqual(discarded, [2]);
});
