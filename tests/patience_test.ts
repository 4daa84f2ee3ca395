import assert from "node:assert/strict";
import { patient, slowness, slownessOf } from "./patience.ts";

Deno.test("slownessOf() is how many want each processor, at least 1 and with a bound", () => {
  assert.equal(slownessOf("0.10 0.20 0.30 1/200 4711\n", 2), 1);
  assert.equal(slownessOf("20.00 5.00 1.00 3/200 4711\n", 2), 10);
  // The minute's mean lags behind.
  assert.equal(slownessOf("1.00 1.00 1.00 40/900 4711\n", 2), 20);
  assert.equal(slownessOf("900.00 1.00 1.00 1/900 4711\n", 2), 30);
  assert.equal(slownessOf("", 2), 1);
});

Deno.test("patient() never waits for less than what an idle machine needs", () => {
  assert.ok(slowness() >= 1);
  assert.ok(patient(100) >= 100);
});
