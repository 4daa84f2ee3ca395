import assert from "node:assert/strict";
import { mergeResources, withRelated } from "./update.ts";

Deno.test("mergeResources() keeps what the request leaves out or has as zero", () => {
  const before = { memory: { limit: 10, swap: 20 }, cpu: { quota: 5, period: 7 }, unified: { "a.b": "1" } };
  assert.deepEqual(
    mergeResources(before, { memory: { limit: 15, swap: 0 }, cpu: { quota: 0 }, unified: { "c.d": "2" } }),
    { memory: { limit: 15, swap: 20 }, cpu: { quota: 5, period: 7 }, unified: { "c.d": "2" } },
  );
});

Deno.test("mergeResources() keeps the zeros that are values: what is set back after a failure is what was in force", () => {
  const before = { pids: { limit: 9 }, cpu: { idle: 1, burst: 5, shares: 3 }, memory: { swappiness: 60, limit: 7 } };
  const zeros = { pids: { limit: 0 }, cpu: { idle: 0, burst: 0, shares: 0 }, memory: { swappiness: 0, limit: 0 } };
  assert.deepEqual(mergeResources(before, zeros), {
    pids: { limit: 0 },
    cpu: { idle: 0, burst: 0, shares: 3 },
    memory: { swappiness: 0, limit: 7 },
  });
});

Deno.test("withRelated() adds what the kernel has in one file with the request's own", () => {
  const merged = { memory: { limit: 15, swap: 20, reservation: 3 }, cpu: { quota: 5, period: 7 } };
  assert.deepEqual(withRelated({ memory: { limit: 15 }, cpu: { shares: 9 } }, merged), {
    memory: { limit: 15, swap: 20 },
    cpu: { shares: 9 },
  });
  assert.deepEqual(withRelated({ cpu: { quota: 5 } }, merged), { cpu: { quota: 5, period: 7 } });
});
