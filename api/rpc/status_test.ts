import { equal, ok } from "node:assert/strict";
import { Failure } from "../errors.ts";
import { failureOf, statusOf } from "./status.ts";

Deno.test("statusOf() ends the text in the class, once", () => {
  const status = { code: 5, message: 'image "a": not found' };
  for (const message of ['image "a"', 'image "a": not found']) {
    const { code, message: text } = statusOf(new Failure("NotFound", message));
    equal(code, status.code);
    equal(text, status.message);
  }
});

Deno.test("statusOf() does not add the class to a sentence that says it", () => {
  for (
    const [code, message] of [
      ["NotFound", "task one not found"],
      ["AlreadyExists", 'lease "a" already exists'],
      ["NotImplemented", "method Platform not implemented"],
      ["NotFound", "not found"],
    ] as const
  ) equal(statusOf(new Failure(code, message)).message, message);
  equal(statusOf(new Failure("NotFound", "notnot found?")).message, "notnot found?: not found");
});

Deno.test("statusOf() leaves unknown errors and conflicts as they are", () => {
  equal(statusOf(new Error("boom")).message, "boom");
  equal(statusOf(new Error("boom")).code, 2);
  equal(statusOf(new Failure("FailedPrecondition", "x: conflict")).message, "x: conflict");
});

Deno.test("statusOf() tells an aborted call from a late one", () => {
  equal(statusOf(new DOMException("gone", "AbortError")).code, 1);
  equal(statusOf(new DOMException("late", "TimeoutError")).code, 4);
});

Deno.test("statusOf() tells the first failure where cleaning up failed as well", () => {
  const error = new SuppressedError(new Error("cleaning"), new Failure("NotFound", "it"));
  equal(statusOf(error).code, 5);
});

Deno.test("failureOf() takes the class text away", () => {
  const failure = failureOf({ code: 9, message: "it is not empty: failed precondition" });
  equal(failure.code, "FailedPrecondition");
  equal(failure.message, "it is not empty");
  ok(failureOf({ code: 99, message: "?" }).code === "Unknown");
});
