/**
 * Chance that can be repeated, for tests.
 *
 * @module
 */

/** The seed that `BARGE_FUZZ_SEED` gives, else a new one; it is printed. */
export function fuzzSeed(): number {
  const seed = Number(Deno.env.get("BARGE_FUZZ_SEED") ?? Date.now() % 2 ** 31);
  console.log(`BARGE_FUZZ_SEED=${seed}`);
  return seed;
}

/** Numbers below `n`, the same for the same seed (mulberry32). */
export function dice(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % n;
  };
}
