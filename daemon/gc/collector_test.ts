import assert from "node:assert/strict";
import type { Stores } from "../store.ts";
import { type Clock, type Collection, GarbageCollector } from "./collector.ts";
import { objectsOf, putBlob, putImage, withStores } from "./garbage_fixture.ts";

/** Time that passes when the test says so. */
class FakeClock implements Clock {
  #now = 0;
  #waiting: { readonly at: number; readonly due: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, due: () => void): () => void {
    const timer = { at: this.#now + ms, due };
    this.#waiting.push(timer);
    return () => this.#waiting = this.#waiting.filter((other) => other !== timer);
  }

  /** Lets time pass, and calls what has come due. */
  pass(ms: number): void {
    this.#now += ms;
    const due = this.#waiting.filter(({ at }) => at <= this.#now);
    this.#waiting = this.#waiting.filter((timer) => !due.includes(timer));
    for (const timer of due) timer.due();
  }

  /** How long until what is waited for; there is never more than one. */
  get nextMs(): number | undefined {
    assert(this.#waiting.length <= 1, `${this.#waiting.length} timers`);
    return this.#waiting[0] === undefined ? undefined : this.#waiting[0].at - this.#now;
  }
}

interface Watched {
  readonly stores: Stores;
  readonly clock: FakeClock;
  readonly collector: GarbageCollector;
  /** The next collection that has ended. */
  ended(): Promise<Collection>;
}

/** Runs the body with a collector that has had its first collection. */
function withCollector(body: (watched: Watched) => Promise<void>): Promise<void> {
  return withStores(async (stores) => {
    const clock = new FakeClock();
    let next = Promise.withResolvers<Collection>();
    const collector = new GarbageCollector({
      stores,
      clock,
      events: { publish: () => {} },
      observe: (outcome) => {
        if ("error" in outcome) next.reject(outcome.error);
        else next.resolve(outcome);
        next = Promise.withResolvers();
        next.promise.catch(() => {});
      },
    });
    const ended = async () => {
      const outcome = await next.promise;
      // The schedule is told after those who watch.
      await new Promise((resolve) => setTimeout(resolve, 0));
      return outcome;
    };
    collector.start();
    const first = ended();
    clock.pass(100);
    await first;
    try {
      await body({ stores, clock, collector, ended });
    } finally {
      await collector.stop();
    }
  });
}

const inADay = () => new Date(Date.now() + 86_400_000).toISOString();

Deno.test("GarbageCollector collects what is deleted at once, though a lease of a day is waited for", () =>
  withCollector(async ({ stores, clock, ended }) => {
    const store = stores.of("default");
    await store.leases.create("pull", { labels: { "containerd.io/gc.expire": inADay() } });
    const digest = await putBlob(store, "layer");
    await putImage(store, "image", digest);
    // One collection learns of the lease.
    await store.leases.create("other");
    await store.leases.delete("other");
    const learned = ended();
    clock.pass(1_000);
    await learned;
    assert.equal(clock.nextMs, 3_600_000, "the clock is looked at once an hour");
    await store.images.delete("image");
    assert(clock.nextMs !== undefined && clock.nextMs < 1_000, `${clock.nextMs} ms`);
    const collected = ended();
    clock.pass(1_000);
    assert.deepEqual((await collected).removed.map(({ key }) => key), [digest]);
    assert.deepEqual(await objectsOf(store), ["lease/pull"]);
    // What it has removed itself is no reason for another one.
    assert.equal(clock.nextMs, 3_600_000);
  }));

Deno.test("GarbageCollector collects after enough mutations, though a lease of a day is waited for", () =>
  withCollector(async ({ stores, clock, collector, ended }) => {
    const store = stores.of("default");
    await store.leases.create("pull", { labels: { "containerd.io/gc.expire": inADay() } });
    await collector.collect(AbortSignal.timeout(10_000));
    await putBlob(store, "garbage");
    for (let index = 0; index < 100; index++) await store.leases.create(`lease-${index}`);
    assert(clock.nextMs !== undefined && clock.nextMs < 1_000, `${clock.nextMs} ms`);
    const collected = ended();
    clock.pass(1_000);
    assert.equal((await collected).removed.length, 1);
  }));

Deno.test("GarbageCollector does not forget what is deleted while it collects", () =>
  withCollector(async ({ stores, clock, collector, ended }) => {
    const store = stores.of("default");
    const digest = await putBlob(store, "layer");
    await putImage(store, "image", digest);
    // So many that the collection goes on after its first commit, in the middle of which the image goes.
    for (let index = 0; index < 100; index++) await putBlob(store, `garbage-${index}`);
    let deleting: Promise<void> | undefined;
    const unwatch = stores.database.watch(() => deleting ??= store.images.delete("image"));
    await collector.collect(AbortSignal.timeout(10_000));
    unwatch();
    await deleting;
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.deepEqual(await objectsOf(store), [`content/${digest}`]);
    assert(clock.nextMs !== undefined && clock.nextMs < 1_000, `${clock.nextMs} ms`);
    const collected = ended();
    clock.pass(1_000);
    assert.deepEqual((await collected).removed.map(({ key }) => key), [digest]);
  }));

Deno.test("GarbageCollector tries again after a collection that failed", () =>
  withCollector(async ({ stores, clock, collector, ended }) => {
    await stores.database.transaction(() => stores.database.run("ALTER TABLE sandboxes RENAME TO elsewhere"));
    await assert.rejects(collector.collect(AbortSignal.timeout(10_000)), /gc failed/);
    await stores.database.transaction(() => stores.database.run("ALTER TABLE elsewhere RENAME TO sandboxes"));
    const again = ended();
    assert(clock.nextMs !== undefined && clock.nextMs <= 60_000, `${clock.nextMs} ms`);
    clock.pass(60_000);
    await again;
  }));
