import { deepEqual, equal, ok } from "node:assert/strict";
import { makeWallClock, wallTimeMs } from "./wall_clock.ts";

Deno.test("wallTimeMs() is the system's time to the microsecond, and never the same twice", () => {
  const times: number[] = [];
  const before = Date.now();
  for (let left = 10_000; left > 0; left--) times.push(wallTimeMs());
  // Whole milliseconds, rounded down.
  const after = Date.now() + 1;
  ok(times.every((time, index) => time > (times[index - 1] ?? -Infinity)));
  ok(times[0]! >= before && times.at(-1)! < after, `${before} ${times[0]} ${times.at(-1)} ${after}`);
  equal(new Set(times.map((time) => Math.round(time * 1000))).size, times.length);
  ok(times.some((time) => Math.round(time * 1000) % 1000 !== 0));
});

Deno.test("makeWallClock() goes on while the clock stands or steps back a little, and follows one that was set", () => {
  const read = [5_000_000, 5_000_000, 4_999_990, 5_000_001, 5_000_010, 3_000_000, 3_000_000, 9_000_000];
  const clock = makeWallClock(() => read.shift()!);
  deepEqual(
    Array.from({ length: 8 }, clock).map((time) => Math.round(time * 1000)),
    [5_000_000, 5_000_001, 5_000_002, 5_000_003, 5_000_010, 3_000_000, 3_000_001, 9_000_000],
  );
});
