import { deepEqual, equal } from "node:assert/strict";
import { msOfTime, msOfTimeText, timeText, wireTime } from "./timestamp.ts";

Deno.test("wireTime() keeps nanoseconds positive, also before 1970", () => {
  deepEqual(wireTime(1500), { seconds: 1, nanos: 500_000_000 });
  deepEqual(wireTime(-1), { seconds: -1, nanos: 999_000_000 });
  equal(msOfTime(wireTime(1700000000123)), 1700000000123);
});

Deno.test("wireTime() and msOfTime() keep each microsecond, and cut off what is finer", () => {
  for (const seconds of [0, 5, 1_700_000_000, 1_796_150_423, 2_000_000_000, 4_000_000_000]) {
    for (let us = 0; us < 1_000_000; us += 997) {
      const time = { seconds, nanos: us * 1000 };
      deepEqual(wireTime(msOfTime({ seconds, nanos: us * 1000 + 999 })), time);
      deepEqual(wireTime((seconds * 1_000_000 + us) / 1000), time);
    }
  }
  deepEqual(wireTime(1999.9999999), { seconds: 2, nanos: 0 });
  deepEqual(msOfTime({ seconds: -62_135_596_800, nanos: 0 }), -62_135_596_800_000);
});

Deno.test("timeText() and msOfTimeText() keep each microsecond; that of others may be finer, or have another zone", () => {
  for (const ms of [0, 1_796_150_423_016.43, 1_796_150_423_000, -1000]) equal(msOfTimeText(timeText(ms)), ms);
  equal(timeText(1_796_150_423_016.43), "2026-12-01T18:40:23.016430Z");
  equal(msOfTimeText("2026-12-01T20:40:23.016430999+02:00"), 1_796_150_423_016.43);
  equal(msOfTimeText("2026-12-01T18:40:23.5Z"), 1_796_150_423_500);
  equal(msOfTimeText("2026-12-01T18:40:23Z"), 1_796_150_423_000);
  equal(Number.isNaN(msOfTimeText("soon")), true);
});
