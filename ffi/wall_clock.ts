/**
 * What time it is, finer than `Date.now()`, for times that clients compare.
 *
 * @module
 */
import { call } from "./syscall.ts";

/** CLOCK_REALTIME of clock_gettime(2). */
const realtime = 0;
/** Where the clock is so far behind it was set back, and is believed; less is made up for. */
const setBackUs = 1_000_000;

/** struct timespec. */
const spec = new BigInt64Array(2);

function kernelUs(): number {
  call("clock_gettime", realtime, spec);
  return Number(spec[0]) * 1_000_000 + Math.floor(Number(spec[1]) / 1000);
}

/**
 * A clock that gives milliseconds since 1970 with microseconds behind the point. No two answers are the same and none is
 * before an earlier one, unless the system's clock was set back by more than a second. `readUs` reads that clock.
 */
export function makeWallClock(readUs: () => number): () => number {
  let lastUs = -Infinity;
  return () => {
    const us = readUs();
    lastUs = us > lastUs || lastUs - us > setBackUs ? us : lastUs + 1;
    return lastUs / 1000;
  };
}

/**
 * Milliseconds since 1970, to the microsecond: of what is called one after another each is later than the one before. It
 * is the kernel's clock, so other processes that look at theirs before and after find it in between.
 */
export const wallTimeMs: () => number = makeWallClock(kernelUs);
