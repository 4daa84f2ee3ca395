/**
 * Durations as Go writes them: `1h15m30.5s`, `300ms`, `0`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** Milliseconds of each unit. */
const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  "μs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * Milliseconds of a duration as Go's `time.ParseDuration` takes it: a sign, then numbers with units; `0` needs none.
 * Throws `InvalidArgument` in Go's words.
 */
export function parseDuration(text: string): number {
  const fail = (what: string) => new Failure("InvalidArgument", `time: ${what} duration ${JSON.stringify(text)}`);
  const sign = text.startsWith("-") ? -1 : 1;
  const rest = text.replace(/^[+-]/, "");
  if (rest === "0") return 0;
  if (rest === "") throw fail("invalid");
  let ms = 0;
  const part = /(\d+\.?\d*|\.\d+)([^\d.]*)/y;
  while (part.lastIndex < rest.length) {
    const match = part.exec(rest);
    if (match === null) throw fail("invalid");
    const [, amount, unit] = match;
    if (unit === "") throw fail("missing unit in");
    const factor = units[unit!];
    if (factor === undefined) throw fail(`unknown unit ${JSON.stringify(unit)} in`);
    ms += Number(amount) * factor;
  }
  // Go counts nanoseconds in 63 bits.
  if (ms > 9_223_372_036_854) throw fail("invalid");
  return sign * ms;
}

/** A duration as Go's `Duration.String` prints it, such as `1m30s` for 90,000 milliseconds. */
export function formatDuration(ms: number): string {
  const ns = Math.round(Math.abs(ms) * 1e6);
  const sign = ms < 0 ? "-" : "";
  if (ns === 0) return "0s";
  if (ns < 1e9) {
    const [unit, factor] = ns < 1e3 ? ["ns", 1] : ns < 1e6 ? ["µs", 1e3] : ["ms", 1e6];
    return `${sign}${ns / factor}${unit}`;
  }
  const wholeSeconds = Math.floor(ns / 1e9);
  const hours = Math.floor(wholeSeconds / 3600), minutes = Math.floor(wholeSeconds / 60) % 60;
  const fraction = ns % 1e9 === 0 ? "" : `.${String(ns % 1e9).padStart(9, "0").replace(/0+$/, "")}`;
  const seconds = `${wholeSeconds % 60}${fraction}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`;
}
