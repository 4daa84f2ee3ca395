import assert from "node:assert/strict";
import { mergeResources, withRelated } from "./update.ts";

Deno.test("mergeResources() keeps what the request leaves out or has as zero", () => {
  const before = { memory: { limit: 10, swap: 20 }, cpu: { quota: 5, period: 7 }, unified: { "a.b": "1" } };
  assert.deepEqual(
    mergeResources(before, { memory: { limit: 15, swap: 0 }, cpu: { quota: 0 }, unified: { "c.d": "2" } }),
    { memory: { limit: 15, swap: 20 }, cpu: { quota: 5, period: 7 }, unified: { "c.d": "2" } },
  );
});

Deno.test("withRelated() adds what the kernel has in one file with the request's own", () => {
  const merged = { memory: { limit: 15, swap: 20, reservation: 3 }, cpu: { quota: 5, period: 7 } };
  assert.deepEqual(withRelated({ memory: { limit: 15 }, cpu: { shares: 9 } }, merged), {
    memory: { limit: 15, swap: 20 },
    cpu: { shares: 9 },
  });
  assert.deepEqual(withRelated({ cpu: { quota: 5 } }, merged), { cpu: { quota: 5, period: 7 } });
});
