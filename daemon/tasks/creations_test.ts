import assert from "node:assert/strict";
import { Reactor } from "../../ffi/reactor.ts";
import { Creations } from "./creations.ts";

Deno.test("whenMade() waits for a creation that is under way, and for no other", async () => {
  using reactor = new Reactor();
  const creations = new Creations(reactor), { signal } = new AbortController();
  const done: string[] = [];
  const release = Promise.withResolvers<void>();
  const making = creations.make("ns/a", "a", () => release.promise.then(() => done.push("made")));
  const waiting = creations.whenMade("ns/a", signal).then(() => done.push("told"));
  await creations.whenMade("ns/b", signal);
  await assert.rejects(creations.make("ns/a", "a", () => Promise.resolve()), { code: "AlreadyExists" });
  assert.deepEqual([done, creations.isEmpty], [[], false]);
  release.resolve();
  await Promise.all([making, waiting]);
  assert.deepEqual([done, creations.isEmpty], [["made", "told"], true]);
});

Deno.test("whenMade() ends with a creation that fails, and with its caller", async () => {
  using reactor = new Reactor();
  const creations = new Creations(reactor), caller = new AbortController();
  const release = Promise.withResolvers<void>();
  const making = creations.make("a", "a", () => release.promise);
  const waiting = creations.whenMade("a", new AbortController().signal);
  const left = creations.whenMade("a", caller.signal);
  caller.abort(new Error("left"));
  await assert.rejects(left, { message: "left" });
  release.reject(new Error("no shim"));
  await assert.rejects(making, { message: "no shim" });
  await waiting;
});
