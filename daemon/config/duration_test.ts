import { equal, throws } from "node:assert/strict";
import { formatDuration, parseDuration } from "./duration.ts";

Deno.test("parseDuration() reads what Go reads", () => {
  for (
    const [text, ms] of [
      ["0", 0],
      ["5s", 5000],
      ["1h15m30.5s", 4_530_500],
      ["-1.5h", -5_400_000],
      ["300ms", 300],
      [
        ".5s",
        500,
      ],
      ["1.s", 1000],
      ["2us", 0.002],
      ["+1m", 60_000],
    ] as const
  ) equal(parseDuration(text), ms, text);
});

Deno.test("parseDuration() refuses what Go refuses, in its words", () => {
  throws(() => parseDuration(""), /time: invalid duration ""/);
  throws(() => parseDuration("5"), /time: missing unit in duration "5"/);
  throws(() => parseDuration("5x"), /time: unknown unit "x" in duration "5x"/);
  throws(() => parseDuration("s"), /time: invalid duration "s"/);
  throws(() => parseDuration("999999999h"), /invalid duration/);
});

Deno.test("formatDuration() writes as Go writes", () => {
  for (
    const [ms, text] of [
      [0, "0s"],
      [2000, "2s"],
      [60_000, "1m0s"],
      [300_000, "5m0s"],
      [14_400_000, "4h0m0s"],
      [
        100,
        "100ms",
      ],
      [1.5, "1.5ms"],
      [0.002, "2µs"],
      [90_500, "1m30.5s"],
      [-5000, "-5s"],
    ] as const
  ) equal(formatDuration(ms), text);
});
