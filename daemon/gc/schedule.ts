/**
 * When to collect: a pure state machine over counters and clocks, with containerd's thresholds.
 *
 * @module
 */

/** Settings of the scheduler, as in `[plugins."io.containerd.gc.v1.scheduler"]`. */
export interface Thresholds {
  /** Largest part of the time that collections may take; at most 0.5. */
  readonly pauseThreshold: number;
  /** A collection begins after so many deletions; 0: deletions wait for the next tick. */
  readonly deletionThreshold: number;
  /** A collection begins at the next tick after so many mutations; 0: mutations alone never do. */
  readonly mutationThreshold: number;
  /** Time from a trigger to the collection. */
  readonly scheduleDelayMs: number;
  /** Time from the start of the daemon to its first collection. */
  readonly startupDelayMs: number;
}

/** containerd's defaults. */
export const defaultThresholds: Thresholds = {
  pauseThreshold: 0.02,
  deletionThreshold: 0,
  mutationThreshold: 100,
  scheduleDelayMs: 0,
  startupDelayMs: 100,
};

/** A collection counts as at least this long, so that quick ones do not follow each other without a pause. */
const collectionMsMin = 5;
const firstIntervalMs = 1_000;
/** What expires is collected at its time, but a clock that was set is noticed this often. */
const clockMs = 60 * 60 * 1000;

/** Counts what happened since the last collection, and says when the next one is due. Times are of one monotonic clock. */
export class Schedule {
  #mutations = 0;
  #deletions = 0;
  #averageMs = 0;
  #runs = 0;
  #intervalMs = firstIntervalMs;
  #lastEnd: number;
  #triggered: number | undefined;
  #expiry: number | undefined;

  /** `now` is when the daemon starts. */
  constructor(private readonly thresholds: Thresholds, now: number) {
    this.#lastEnd = now;
    // What the last daemon left is looked at once.
    this.#triggered = now + thresholds.startupDelayMs;
  }

  /** Notes changes of the store, and whether they make a collection due. */
  changed(mutations: number, deletions: number, now: number): void {
    this.#mutations += mutations;
    this.#deletions += deletions;
    const { deletionThreshold, mutationThreshold, scheduleDelayMs } = this.thresholds;
    const due = (deletionThreshold > 0 && this.#deletions >= deletionThreshold) ||
      (mutationThreshold > 0 && this.#mutations >= mutationThreshold);
    if (due) this.#triggered ??= now + scheduleDelayMs;
  }

  /** When the next collection is due; undefined where nothing happened that could make garbage. */
  get due(): number | undefined {
    const tick = this.#lastEnd + this.#intervalMs;
    const times = [this.#triggered, this.#deletions > 0 ? tick : undefined, this.#expiry]
      .filter((time) => time !== undefined);
    if (times.length === 0) return undefined;
    // A trigger does not cut the pause short: that is what keeps the share of the time within its limit.
    return this.#runs === 0 ? Math.min(...times) : Math.max(Math.min(...times), tick);
  }

  /** A collection begins: what it will see is not counted any more. */
  began(): void {
    this.#mutations = 0;
    this.#deletions = 0;
    this.#triggered = undefined;
    this.#expiry = undefined;
  }

  /** A collection has ended; `expiresInMs` is when the next object expires, from now. */
  ended(now: number, tookMs: number, expiresInMs: number | undefined): void {
    this.#runs++;
    const counted = Math.max(tookMs, collectionMsMin);
    this.#averageMs += (counted - this.#averageMs) / this.#runs;
    const threshold = Math.min(this.thresholds.pauseThreshold, 0.5);
    if (threshold > 0) this.#intervalMs = this.#averageMs / threshold - this.#averageMs;
    this.#lastEnd = now;
    this.#expiry = expiresInMs === undefined ? undefined : now + Math.min(expiresInMs, clockMs);
  }
}
