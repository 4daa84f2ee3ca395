import { deepEqual, equal, ok } from "node:assert/strict";
import type { Stores } from "../store.ts";
import { collectOnce } from "./collector.ts";
import { objectsOf, putBlob, putImage, putLayer, withStores } from "./garbage_fixture.ts";
import { findDead } from "./mark.ts";
import { mark } from "./mark_thread.ts";
import { sweep } from "./sweep.ts";

const signal = AbortSignal.timeout(60_000);
const past = new Date(Date.now() - 60_000).toISOString();
const future = new Date(Date.now() + 60_000).toISOString();
const collect = async (stores: Stores) => (await collectOnce(stores, undefined, signal)).removed.length;

Deno.test("collectOnce() keeps what images, containers, leases and gc.root labels lead to, in every namespace", () =>
  withStores(async (stores) => {
    const a = stores.of("a"), b = stores.of("b");
    const layer = await putBlob(a, "layer");
    const manifest = await putBlob(a, "manifest", { "containerd.io/gc.ref.content.l.0": layer });
    await putImage(a, "image", manifest);
    await putBlob(b, "layer");
    const rooted = await putBlob(b, "rooted", { "containerd.io/gc.root": "x" });
    await b.leases.create("lease");
    const leased = await putBlob(b, "leased", {}, "lease");
    await putLayer(a, "base");
    await putLayer(a, "top", "base");
    await putLayer(a, "loose", "base");
    await a.snapshotter("native").prepare("rootfs", { parent: "top" });
    await a.containers.create({ id: "c", snapshotter: "native", snapshotKey: "rootfs" });
    equal(await collect(stores), 2);
    deepEqual(
      await objectsOf(a),
      ["image/image", `content/${layer}`, `content/${manifest}`, "snapshot/base", "snapshot/rootfs", "snapshot/top"]
        .sort(),
    );
    deepEqual(await objectsOf(b), [`content/${leased}`, `content/${rooted}`, "lease/lease"].sort());
    equal(await collect(stores), 0);
  }));

Deno.test("collectOnce() removes expired leases and images with what only they kept, and tells when the next expires", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    await store.leases.create("old", { labels: { "containerd.io/gc.expire": past } });
    await store.leases.create("young", { labels: { "containerd.io/gc.expire": future } });
    await store.leases.create("odd", { labels: { "containerd.io/gc.expire": "some day" } });
    await putBlob(store, "of old", {}, "old");
    const kept = await putBlob(store, "of young", {}, "young");
    await putImage(store, "old", await putBlob(store, "of old image"), { "containerd.io/gc.expire": past });
    await putImage(store, "held", kept, { "containerd.io/gc.expire": past });
    await stores.database.transaction(() => store.objects.hold("young", "image", "held"));
    const { removed, nextExpiry } = await collectOnce(stores, undefined, signal);
    equal(removed.length, 4);
    equal(nextExpiry, Date.parse(future));
    deepEqual(await objectsOf(store), [`content/${kept}`, "image/held", "lease/odd", "lease/young"].sort());
  }));

Deno.test("collectOnce() follows no labels from a flat lease, but parents and targets", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    await store.leases.create("flat", { labels: { "containerd.io/gc.flat": "1" } });
    const child = await putBlob(store, "child");
    await putBlob(store, "parent", { "containerd.io/gc.ref.content": child }, "flat");
    await putLayer(store, "base");
    await putLayer(store, "top", "base", { "containerd.io/gc.ref.content": child });
    await stores.database.transaction(() => store.objects.hold("flat", "snapshot", "native/top"));
    deepEqual((await collectOnce(stores, undefined, signal)).removed.map(({ key }) => key), [child]);
  }));

Deno.test("collectOnce() evaluates conditional references at the time", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    const usedAt = (ageMs: number) => ({
      "containerd.io/gc.cond.value-usedat": new Date(Date.now() - ageMs).toISOString(),
    });
    await putLayer(store, "fresh", undefined, usedAt(1_000));
    await putLayer(store, "stale", undefined, usedAt(3_600_000));
    await putLayer(store, "unknown");
    const holder = await putBlob(store, "holder", {
      "containerd.io/gc.cond.snapshot.native/0": "usedat<5m|fresh",
      "containerd.io/gc.cond.snapshot.native/1": "usedat<5m,nonsense|stale",
      "containerd.io/gc.cond.snapshot.native/2": "usedat>0s|unknown",
      "containerd.io/gc.cond.snapshot.native": "no bar",
    });
    await putImage(store, "image", holder);
    equal(await collect(stores), 2);
    deepEqual(await objectsOf(store), [`content/${holder}`, "image/image", "snapshot/fresh"].sort());
  }));

Deno.test("sweep() leaves what got a reference, a lease or a root label after the mark", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    const leaf = await putBlob(store, "leaf");
    const named = await putBlob(store, "named", { "containerd.io/gc.ref.content": leaf });
    const held = await putBlob(store, "held");
    const rooted = await putBlob(store, "rooted");
    const gone = await putBlob(store, "gone");
    const marks = findDead(stores.database, Date.now());
    equal(marks.dead.length, 5);
    await putImage(store, "image", named);
    await store.leases.create("lease");
    await store.content.claim(held, { lease: "lease" });
    await store.content.addLabels(rooted, { "containerd.io/gc.root": "1" });
    const { removed, failed } = await sweep(stores, marks, Date.now(), signal);
    deepEqual([removed.map(({ key }) => key), failed], [[gone], []]);
    deepEqual(
      (await store.content.list()).map(({ digest }) => digest).sort(),
      [leaf, named, held, rooted].sort(),
    );
  }));

Deno.test("sweep() goes on where one object cannot be removed, and names it", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    await putLayer(store, "base");
    const blob = await putBlob(store, "blob");
    const dead = [
      { namespace: "default", kind: "snapshot", key: "native/missing" },
      { namespace: "default", kind: "content", key: blob },
    ] as const;
    const { removed, failed } = await sweep(stores, { dead, flat: [] }, Date.now(), signal);
    deepEqual(removed.map(({ key }) => key), [blob]);
    deepEqual(failed.map(({ object }) => object.key), ["native/missing"]);
  }));

Deno.test("mark() finds the same in its thread as here, and does not hold the event loop", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    await stores.database.transaction(() => {
      stores.database.run("INSERT INTO namespaces VALUES ('default')");
      for (let n = 0; n < 20_000; n++) {
        const digest = `sha256:${n.toString(16).padStart(64, "0")}`;
        stores.database.run("INSERT INTO blobs VALUES ('default', ?, 1, 0, 0)", digest);
        if (n % 2 === 0) store.objects.link("lease", "l", "content", digest, "lease");
      }
    });
    await store.leases.create("l");
    let worst = 0, last = performance.now();
    const timer = setInterval(() => {
      worst = Math.max(worst, performance.now() - last);
      last = performance.now();
    }, 1);
    const { dead } = await mark(stores.database, Date.now(), signal, 0);
    clearInterval(timer);
    equal(dead.length, 10_000);
    const here = performance.now();
    deepEqual(findDead(stores.database, Date.now()).dead.length, 10_000);
    ok(worst < (performance.now() - here) + 100, `the event loop stood still for ${worst} ms`);
  }));

Deno.test("mark() in its thread says why it failed", () =>
  withStores(async (stores) => {
    await stores.database.transaction(() => stores.database.run("ALTER TABLE sandboxes RENAME TO elsewhere"));
    let message = "";
    await mark(stores.database, Date.now(), signal, 0).catch((error) => message = error.message);
    ok(message.includes("no such table: sandboxes"), message);
  }));

Deno.test("sweep() lets others have their turn among thousands of dead objects", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    const target = await putBlob(store, "target");
    for (let n = 0; n < 1_000; n++) await putImage(store, `image-${n}`, target, { "containerd.io/gc.expire": past });
    const marks = await mark(stores.database, Date.now(), signal);
    ok(marks.dead.length >= 1_000);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    try {
      await sweep(stores, marks, Date.now(), signal);
    } finally {
      clearInterval(timer);
    }
    ok(turns >= 2, `${turns} turns`);
  }));
