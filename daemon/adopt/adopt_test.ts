import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { Failure, isFailure, messageOf } from "../../api/errors.ts";
import { Image } from "../../api/gen/services/images/v1/images.ts";
import { Lease } from "../../api/gen/services/leases/v1/leases.ts";
import { Info, Kind } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { Mount } from "../../api/gen/types/mount.ts";
import { openStores, type Stores } from "../store.ts";
import { adopt } from "./adopt.ts";
import type { Report } from "./report.ts";
import type { StockSide } from "./stock_daemon.ts";

const overlayfs = { name: "overlayfs", directory: undefined };
const snapshot = (name: string, kind: Kind, parent = "") => Info.create({ name, kind, parent });
const nothing = <T>() => Promise.resolve<T[]>([]);

/** A daemon that has nothing but what is given. */
function makeStock(parts: Partial<StockSide>): StockSide {
  return {
    namespaces: () => Promise.resolve([{ name: "default", labels: {} }]),
    content: nothing,
    snapshotters: nothing,
    snapshots: nothing,
    mounts: nothing,
    views: () => Promise.reject(new Error("no view is needed")),
    images: nothing,
    containers: nothing,
    leases: nothing,
    resources: nothing,
    ...parts,
  };
}

async function withStores(
  parts: Partial<StockSide>,
  body: (run: (signal?: AbortSignal) => Promise<Report[]>, stores: Stores) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "barge-adopt-" });
  try {
    using stores = await openStores(root);
    const stock = makeStock(parts);
    const never = new AbortController().signal;
    await body((signal = never) => Array.fromAsync(adopt({ stock, root, stores, signal })), stores);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const texts = (report: Report | undefined) =>
  report?.failures.map(({ kind, key, error }) => `${kind} ${key}: ${messageOf(error)}`);

Deno.test("adopt() names snapshots that it cannot take over, and where they lie", () =>
  withStores({
    snapshotters: () =>
      Promise.resolve([{ name: "zfs", directory: "/z" }, { name: "native", directory: "/elsewhere" }]),
    snapshots: (_, name) => Promise.resolve([snapshot(`of-${name}`, Kind.COMMITTED)]),
  }, async (run) => {
    const [report] = await run();
    const [zfs, native] = texts(report)!;
    equal(zfs, 'snapshot zfs/of-zfs: snapshots of "zfs" cannot be taken over, only those of overlayfs and native');
    match(native!, /^snapshot native\/of-native: snapshotter "native" keeps its snapshots in "\/elsewhere", and only/);
    equal(report?.counts.snapshot, 0);
  }));

Deno.test("adopt() goes on where a list or an object fails, and says so once", () =>
  withStores({
    namespaces: () => Promise.resolve([{ name: "no namespace", labels: {} }, { name: "n", labels: { a: "b" } }]),
    content: () => Promise.reject(new Failure("ResourceExhausted", "too many")),
    snapshotters: () => Promise.resolve([overlayfs]),
    snapshots: () => Promise.resolve([snapshot("a", Kind.ACTIVE)]),
    mounts: () => Promise.reject(new Failure("Internal", "no mounts")),
    images: () => Promise.resolve([Image.create({ name: "i" })]),
    leases: () => Promise.resolve([Lease.create({ id: "l" })]),
    resources: () => Promise.resolve([{ type: "moons", id: "1" }, { type: "images", id: "i" }]),
  }, async (run, stores) => {
    const [strange, report] = await run();
    match(texts(strange)!.join(), /^namespace no namespace: /);
    deepEqual(texts(report), [
      "content undefined: too many",
      "snapshot overlayfs/a: no mounts",
      'image i: target.Digest "" invalid: invalid checksum digest format',
      "lease l: resource type moons not supported yet",
    ]);
    deepEqual(report?.counts, { namespace: 1, content: 0, snapshot: 0, image: 0, container: 0, lease: 1 });
    const held = stores.of("n").leases.findInside("l");
    equal(held?.id, "l");
    equal(
      stores.database.all("SELECT 1 FROM refs WHERE from_key = 'l' AND to_kind = 'image' AND to_key = 'i'").length,
      1,
    );
  }));

Deno.test("adopt() ends where the daemon is gone, or when it is told to", () =>
  withStores({
    images: () => Promise.reject(new Failure("Unavailable", "gone")),
  }, async (run) => {
    await rejects(run(), (error) => isFailure(error, "Unavailable"));
    await rejects(run(AbortSignal.abort(new Failure("Canceled", "enough"))), (error) => isFailure(error, "Canceled"));
  }));

Deno.test("adopt() makes one view for a chain of overlays, and lets go of it whatever happens", async () => {
  const asked: string[] = [];
  let place = "";
  let disposed = 0;
  const fails = { next: false };
  await withStores({
    snapshotters: () => Promise.resolve([overlayfs]),
    snapshots: () =>
      Promise.resolve([
        snapshot("top", Kind.COMMITTED, "middle"),
        snapshot("middle", Kind.COMMITTED, "bottom"),
        snapshot("bottom", Kind.COMMITTED),
      ]),
    views: () =>
      Promise.resolve({
        lease: "l",
        mountsOn: (_: string, key: string) => {
          asked.push(key);
          if (fails.next) return Promise.reject(new Failure("Internal", "no view"));
          const options = [`lowerdir=${[3, 2, 1].map((number) => `${place}/snapshots/${number}/fs`).join(":")}`];
          return Promise.resolve([Mount.create({ type: "overlay", options })]);
        },
        [Symbol.asyncDispose]: () => {
          disposed++;
          return Promise.resolve();
        },
      }),
  }, async (run, stores) => {
    place = `${stores.root}/io.containerd.snapshotter.v1.overlayfs`;
    for (const number of [1, 2, 3]) await Deno.mkdir(`${place}/snapshots/${number}/fs`, { recursive: true });
    const [report] = await run();
    deepEqual([texts(report), report?.counts.snapshot, asked, disposed], [[], 3, ["top"], 1]);
    fails.next = true;
    const [second] = await run();
    deepEqual(texts(second), ["top", "middle", "bottom"].map((key) => `snapshot overlayfs/${key}: no view`));
    equal(disposed, 2);
  });
});
