/**
 * The garbage collector of a daemon: runs collections, one at a time, when they are due or asked for.
 *
 * @module
 */
import { untilAborted } from "../../api/abort.ts";
import { Failure, messageOf } from "../../api/errors.ts";
import { eventKinds } from "../services/event_kinds.ts";
import { announce, type Collector, type Publisher } from "../services/parts.ts";
import type { Stores } from "../store.ts";
import { mark } from "./mark_thread.ts";
import { discardLeftovers } from "./leftovers.ts";
import type { DeadObject } from "./reader.ts";
import { defaultThresholds, Schedule, type Thresholds } from "./schedule.ts";
import { sweep, type Swept } from "./sweep.ts";

/** What one collection did. */
export interface Collection extends Swept {
  readonly tookMs: number;
}

/** What tells the time, and when it has come. */
export interface Clock {
  /** Milliseconds of one monotonic clock. */
  now(): number;
  /** Calls the function after so many milliseconds, unless the returned function is called before. */
  after(ms: number, due: () => void): () => void;
}

/** A collection that failed as a whole is tried again after so many milliseconds. */
const retryMs = 60_000;

const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, due) => {
    const timer = setTimeout(due, ms);
    return () => clearTimeout(timer);
  },
};

/** Options of {@link GarbageCollector}. */
export interface CollectorOptions {
  readonly stores: Stores;
  readonly events: Publisher;
  readonly thresholds?: Thresholds;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Told of every collection, scheduled or asked for; `error` where it failed as a whole. */
  readonly observe?: (outcome: Collection | { readonly error: unknown; readonly tookMs: number }) => void;
}

/** Collects once: marks, sweeps, tells of removed images and snapshots. */
export async function collectOnce(
  stores: Stores,
  events: Publisher | undefined,
  signal: AbortSignal,
): Promise<Swept & { readonly nextExpiry?: number }> {
  const markedAt = Date.now();
  const { nextExpiry, ...marks } = await mark(stores.database, markedAt, signal);
  const swept = await sweep(stores, marks, markedAt, signal);
  if (events !== undefined) { for (const object of swept.removed) announceRemoval(events, object); }
  return { ...swept, ...(nextExpiry === undefined ? {} : { nextExpiry }) };
}

function announceRemoval(events: Publisher, { namespace, kind, key }: DeadObject): void {
  if (kind === "image") announce(events, namespace, eventKinds.imageDelete, { name: key });
  if (kind !== "snapshot") return;
  const slash = key.indexOf("/");
  announce(events, namespace, eventKinds.snapshotRemove, {
    key: key.slice(slash + 1),
    snapshotter: key.slice(0, slash),
  });
}

/** See the module. `start` begins the schedule; without it only {@link collect} does anything. */
export class GarbageCollector implements Collector {
  readonly #schedule: Schedule;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #asked: Promise<void> | undefined;
  /** Whether what the last daemon left is gone. */
  #isTidy = false;
  readonly #clock: Clock;
  /** The next collection that is waited for. */
  #next: { readonly due: number; readonly cancel: () => void } | undefined;
  #unwatch: (() => void) | undefined;
  #seen: { mutations: number; deletions: number };

  constructor(private readonly options: CollectorOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#schedule = new Schedule(options.thresholds ?? defaultThresholds, this.#clock.now());
    this.#seen = options.stores.database.changes;
  }

  /** Begins to collect by the schedule. */
  start(): void {
    const { database } = this.options.stores;
    this.#unwatch ??= database.watch(() => this.#notice());
    this.#arm();
  }

  /** Ends the schedule and a collection that runs; what it has not removed yet stays for the next daemon. */
  async stop(): Promise<void> {
    this.#unwatch?.();
    this.#disarm();
    this.#stop.abort(new Failure("Unavailable", "collect garbage: the daemon ends"));
    await this.#running?.catch(() => {
      // Told to `observe` and to those who asked.
    });
  }

  /**
   * Waits for a whole collection that begins from now on; several callers share one. Throws where it failed, and the
   * signal's reason.
   */
  async collect(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#asked ??= this.#runNext();
    await untilAborted(this.#asked, signal);
  }

  /** A run after the one that runs now. */
  async #runNext(): Promise<void> {
    await this.#running?.catch(() => {
      // Whoever waited for that one was told.
    });
    this.#asked = undefined;
    await this.#run();
  }

  #notice(): void {
    // What happens beside a collection is looked at after it.
    if (this.#running !== undefined) return;
    this.#count(0);
    this.#arm();
  }

  /** Tells the schedule what has changed. What a collection itself has removed is no reason for the next one. */
  #count(removed: number): void {
    const { mutations, deletions } = this.options.stores.database.changes;
    const { mutations: oldMutations, deletions: oldDeletions } = this.#seen;
    this.#seen = { mutations, deletions };
    this.#schedule.changed(
      Math.max(0, mutations - oldMutations - removed),
      Math.max(0, deletions - oldDeletions - removed),
      this.#clock.now(),
    );
  }

  /** Waits for the next collection; what has become due earlier than what is waited for takes its place. */
  #arm(): void {
    if (this.#running !== undefined || this.#stop.signal.aborted) return;
    const { due } = this.#schedule;
    if (due === undefined || (this.#next !== undefined && this.#next.due <= due)) return;
    this.#disarm();
    const cancel = this.#clock.after(Math.max(0, due - this.#clock.now()), () => {
      this.#next = undefined;
      const late = this.#schedule.due;
      // A timer is for the time that was due when it was set; an expiry may have been taken back since.
      if (late === undefined || late > this.#clock.now() + 1) return this.#arm();
      this.#run().catch(() => {
        // Told to `observe`.
      });
    });
    this.#next = { due, cancel };
  }

  #disarm(): void {
    this.#next?.cancel();
    this.#next = undefined;
  }

  /** Once in a daemon's life. What fails is told, and is no reason not to collect. */
  async #tidy(): Promise<void> {
    const { stores, observe } = this.options;
    const began = this.#clock.now();
    try {
      await discardLeftovers(stores, this.#stop.signal);
      this.#isTidy = true;
    } catch (error) {
      this.#stop.signal.throwIfAborted();
      observe?.({ error, tookMs: this.#clock.now() - began });
    }
  }

  #run(): Promise<void> {
    return this.#running ??= this.#runOnce().finally(() => {
      this.#running = undefined;
      this.#arm();
    });
  }

  async #runOnce(): Promise<void> {
    this.#disarm();
    const began = this.#clock.now();
    this.#schedule.began();
    this.#seen = this.options.stores.database.changes;
    let expiresInMs: number | undefined;
    let removed: number | undefined;
    try {
      const { stores, events, observe } = this.options;
      if (!this.#isTidy) await this.#tidy();
      const { nextExpiry, ...swept } = await collectOnce(stores, events, this.#stop.signal);
      if (nextExpiry !== undefined) expiresInMs = Math.max(0, nextExpiry - Date.now());
      removed = swept.removed.length;
      observe?.({ ...swept, tookMs: this.#clock.now() - began });
    } catch (error) {
      expiresInMs = retryMs;
      const tookMs = this.#clock.now() - began;
      this.options.observe?.({ error, tookMs });
      throw new Failure("Unknown", `gc failed: ${messageOf(error)}`, { cause: error });
    } finally {
      const now = this.#clock.now();
      this.#schedule.ended(now, now - began, expiresInMs);
      // One that failed is not repeated for what it has done until then, but for its failure.
      this.#count(removed ?? Infinity);
    }
  }
}
