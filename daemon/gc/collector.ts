/**
 * The garbage collector of a daemon: runs collections, one at a time, when they are due or asked for.
 *
 * @module
 */
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

/** Options of {@link GarbageCollector}. */
export interface CollectorOptions {
  readonly stores: Stores;
  readonly events: Publisher;
  readonly thresholds?: Thresholds;
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
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unwatch: (() => void) | undefined;
  #seen: { mutations: number; deletions: number };

  constructor(private readonly options: CollectorOptions) {
    this.#schedule = new Schedule(options.thresholds ?? defaultThresholds, performance.now());
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
    clearTimeout(this.#timer);
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
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    try {
      await Promise.race([this.#asked, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
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
    const { mutations, deletions } = this.options.stores.database.changes;
    // What a collection itself removes is no reason for the next one.
    if (this.#running === undefined) {
      const now = performance.now();
      this.#schedule.changed(mutations - this.#seen.mutations, deletions - this.#seen.deletions, now);
    }
    this.#seen = { mutations, deletions };
    this.#arm();
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#running !== undefined || this.#stop.signal.aborted) return;
    const { due } = this.#schedule;
    if (due === undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const late = this.#schedule.due;
      // A timer is for the time that was due when it was set; an expiry may have been taken back since.
      if (late === undefined || late > performance.now() + 1) return this.#arm();
      this.#run().catch(() => {
        // Told to `observe`.
      });
    }, Math.max(0, due - performance.now()));
  }

  /** Once in a daemon's life. What fails is told, and is no reason not to collect. */
  async #tidy(): Promise<void> {
    const { stores, observe } = this.options;
    const began = performance.now();
    try {
      await discardLeftovers(stores, this.#stop.signal);
      this.#isTidy = true;
    } catch (error) {
      this.#stop.signal.throwIfAborted();
      observe?.({ error, tookMs: performance.now() - began });
    }
  }

  #run(): Promise<void> {
    return this.#running ??= this.#runOnce().finally(() => {
      this.#running = undefined;
      this.#arm();
    });
  }

  async #runOnce(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const began = performance.now();
    this.#schedule.began();
    let expiresInMs: number | undefined;
    try {
      const { stores, events, observe } = this.options;
      if (!this.#isTidy) await this.#tidy();
      const { nextExpiry, ...swept } = await collectOnce(stores, events, this.#stop.signal);
      if (nextExpiry !== undefined) expiresInMs = Math.max(0, nextExpiry - Date.now());
      observe?.({ ...swept, tookMs: performance.now() - began });
    } catch (error) {
      const tookMs = performance.now() - began;
      this.options.observe?.({ error, tookMs });
      throw new Failure("Unknown", `gc failed: ${messageOf(error)}`, { cause: error });
    } finally {
      const now = performance.now();
      this.#schedule.ended(now, now - began, expiresInMs);
    }
  }
}
