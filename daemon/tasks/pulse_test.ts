import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { Pulse } from "./pulse.ts";

const never = () => new Promise<never>(() => {});
const late = async () => {
  await new Promise((resolve) => setTimeout(resolve, 100));
  throw new Failure("DeadlineExceeded", "context deadline exceeded");
};

Deno.test("Pulse.watch() gives a quick call's result without a question", async () => {
  const pulse = new Pulse(() => assert.fail("nobody asks"));
  assert.equal(await pulse.watch(Promise.resolve(7)), 7);
  await assert.rejects(pulse.watch(Promise.reject(new Error("no"))), { message: "no" });
});

Deno.test("Pulse.watch() gives a call up whose shim answers nothing, asks one question for all, and forgives", async () => {
  const asked: number[] = [];
  let answer: () => Promise<never> = late;
  const pulse = new Pulse((timeMs) => {
    asked.push(timeMs);
    return answer();
  });
  const refused = { code: "DeadlineExceeded", message: "nothing was answered for 5 s" };
  await Promise.all([assert.rejects(pulse.watch(never()), refused), assert.rejects(pulse.watch(never()), refused)]);
  assert.deepEqual(asked, [5000]);
  assert.equal(pulse.isSilent, true);
  // Now it is asked at once, and not waited for as long.
  await assert.rejects(pulse.watch(never()), { message: "nothing was answered for 2 s" });
  assert.deepEqual(asked, [5000, 2000]);
  pulse.heard();
  assert.equal(pulse.isSilent, false);
  // An answer that says no is one.
  answer = () => Promise.reject(new Failure("NotImplemented", "service barge.shim.v1.Group"));
  assert.equal(await pulse.watch(new Promise((resolve) => setTimeout(() => resolve("slow"), 2500))), "slow");
  assert.equal(pulse.isSilent, false);
});
