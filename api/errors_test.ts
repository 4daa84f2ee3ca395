import assert from "node:assert/strict";
import { Failure, isFailure, messageOf, originalOf } from "./errors.ts";

Deno.test("originalOf() is the failure that came before those of cleaning up", () => {
  const first = new Failure("ResourceExhausted", "no space left");
  const second = new SuppressedError(new Error("clean up"), first);
  assert.equal(originalOf(new SuppressedError(new Error("clean up more"), second)), first);
  assert.equal(originalOf(first), first);
});

Deno.test("isFailure() and messageOf() take whatever was thrown", () => {
  assert.equal(isFailure(new Failure("NotFound", "no"), "NotFound"), true);
  assert.equal(isFailure(new Error("no"), "NotFound"), false);
  assert.equal(messageOf("text"), "text");
});
