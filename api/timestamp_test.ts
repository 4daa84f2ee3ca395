import { deepEqual, equal } from "node:assert/strict";
import { msOfTime, wireTime } from "./timestamp.ts";

Deno.test("wireTime() keeps nanoseconds positive, also before 1970", () => {
  deepEqual(wireTime(1500), { seconds: 1, nanos: 500_000_000 });
  deepEqual(wireTime(-1), { seconds: -1, nanos: 999_000_000 });
  equal(msOfTime(wireTime(1700000000123)), 1700000000123);
});
