import { deepEqual, equal } from "node:assert/strict";
import { parseDigest } from "../../api/digest.ts";
import { withStores } from "../gc/garbage_fixture.ts";
import type { Store } from "../store.ts";
import { NamespaceStore } from "./namespace_store.ts";
import { type RecordFactory, type RecordStore, recordSuite } from "./record_suite.ts";
import { SandboxStore } from "./sandbox_store.ts";

const digest = parseDigest(`sha256:${"a".repeat(64)}`);
const target = { mediaType: "m", digest, size: 5 };
const bytes = new Uint8Array([1, 2, 3]);

function factory(make: (store: Store) => RecordStore): RecordFactory {
  return (body) => withStores((stores) => body(make(stores.of("default")), make(stores.of("other"))));
}

async function* keyed<T, R>(pages: AsyncIterable<T[]>, record: (info: T) => R): AsyncGenerator<R[]> {
  for await (const page of pages) yield page.map(record);
}

function images({ images: store, objects }: Store): RecordStore {
  return {
    objects,
    kind: "image",
    insertInside: (name, labels) => store.insertInside({ name, target, labels }),
    updateInside: (name, labels, updated) => store.updateInside({ name, target, labels, updated }),
    deleteInside: (name) => {
      if (store.findInside(name) === undefined) return false;
      store.deleteInside(name);
      return true;
    },
    findInside: (name) => {
      const info = store.findInside(name);
      return info && { ...info, key: info.name };
    },
    pages: () => keyed(store.pages(), (info) => ({ ...info, key: info.name })),
  };
}

function containers({ containers: store, objects }: Store): RecordStore {
  return {
    objects,
    kind: "container",
    insertInside: (id, labels) => store.insertInside({ id, labels, snapshotter: "native", snapshotKey: id }),
    updateInside: (id, labels, updated) => store.updateInside({ id, labels, updated, spec: bytes }),
    deleteInside: (id) => store.deleteInside(id),
    findInside: (id) => {
      const info = store.findInside(id);
      return info && { ...info, key: info.id };
    },
    pages: () => keyed(store.pages(), (info) => ({ ...info, key: info.id })),
  };
}

function leases({ leases: store, objects }: Store): RecordStore {
  return {
    objects,
    kind: "lease",
    insertInside: (id, labels) => store.insertInside(id, { labels }),
    updateInside: undefined,
    deleteInside: (id) => {
      if (!store.existsInside(id)) return false;
      store.deleteInside(id);
      return true;
    },
    findInside: (id) => {
      const info = store.findInside(id);
      return info && { ...info, key: info.id };
    },
    pages: () => keyed(store.pages(), (info) => ({ ...info, key: info.id })),
  };
}

function sandboxes({ objects }: Store): RecordStore {
  const store = new SandboxStore(objects);
  return {
    objects,
    kind: "sandbox",
    insertInside: (id, labels) => store.insertInside({ id, labels, sandboxer: "s", runtime: "r", created: Date.now() }),
    updateInside: (id, labels, updated) => store.updateInside({ id, labels, updated, runtime: "r", spec: bytes }),
    deleteInside: (id) => store.deleteInside(id),
    findInside: (id) => {
      const info = store.findInside(id);
      return info && { ...info, key: info.id };
    },
    pages: () => keyed(store.pages(), (info) => ({ ...info, key: info.id })),
  };
}

recordSuite("ImageStore", factory(images));
recordSuite("ContainerStore", factory(containers));
recordSuite("LeaseStore", factory(leases));
recordSuite("SandboxStore", factory(sandboxes));

Deno.test("ContainerStore keeps every column, and changes those that may change", () =>
  withStores(async (stores) => {
    const { containers: store, database } = stores.of("default");
    const container = {
      id: "c",
      image: "i",
      snapshotter: "native",
      snapshotKey: "k1",
      runtime: "r",
      runtimeOptions: bytes,
      spec: new Uint8Array([9]),
      extensions: new Uint8Array([7, 7]),
      sandbox: "s",
      labels: { a: "b" },
    };
    await database.transaction(() => store.insertInside(container, 5));
    deepEqual(await store.get("c"), { ...container, created: 5, updated: 5 });
    const changed = { ...container, image: "j", snapshotKey: "k2", spec: bytes, updated: 6 };
    await database.transaction(() => store.updateInside(changed));
    deepEqual(await store.get("c"), { ...changed, created: 5 });
    const refs = database.all<{ to_key: string }>("SELECT to_key FROM refs WHERE name = 'rootfs'");
    deepEqual(refs.map(({ to_key }) => to_key), ["native/k2"]);
  }));

Deno.test("ContainerStore.pagesWhere() reads whole containers of those that pass", () =>
  withStores(async (stores) => {
    const { containers: store, database } = stores.of("default");
    await database.transaction(() => {
      for (const id of ["a", "b", "c"]) store.insertInside({ id, spec: bytes, sandbox: "s", labels: { of: id } });
    });
    const pages = await Array.fromAsync(
      store.pagesWhere(({ id, labels, sandbox }) => id + labels["of"] + sandbox === "bbs"),
    );
    deepEqual(pages.flat().map(({ id, spec }) => [id, spec]), [["b", bytes]]);
  }));

Deno.test("NamespaceStore sees namespaces that objects or labels made, says what is in them, and deletes the rest", () =>
  withStores(async (stores) => {
    const { database } = stores;
    const store = new NamespaceStore(database);
    await database.transaction(() => {
      equal(store.insertInside("made", { a: "b" }), true);
      equal(store.insertInside("made", {}), false);
      store.setLabelsInside("labelled", { c: "d" });
      store.setLabelsInside("not made", { c: "" });
      stores.of("entered").leases.insertInside("l", { labels: { x: "y" } });
      stores.of("full").images.insertInside({ name: "i", target, labels: {} });
      stores.of("full").containers.insertInside({ id: "c" });
    });
    deepEqual(store.listInside(), [
      { name: "entered", labels: {} },
      { name: "full", labels: {} },
      { name: "labelled", labels: { c: "d" } },
      { name: "made", labels: { a: "b" } },
    ]);
    const snapshots = stores.of("full").snapshotter("native");
    await snapshots.prepare("k");
    deepEqual(store.contentsInside("full"), ["images", "containers", 'snapshots on "native" snapshotter']);
    deepEqual(store.contentsInside("entered"), []);
    await database.transaction(() => {
      const sandboxStore = new SandboxStore(stores.of("entered").objects);
      sandboxStore.insertInside({ id: "s", sandboxer: "", runtime: "", created: 1, labels: { l: "1" } });
      database.run("INSERT INTO ingests (namespace, ref, expires) VALUES ('entered', 'r', ?)", Date.now() + 1e6);
      equal(store.deleteInside("entered"), true);
      equal(store.deleteInside("entered"), false);
    });
    for (const table of ["leases", "sandboxes", "labels", "refs"]) {
      deepEqual(database.all(`SELECT * FROM ${table} WHERE namespace = 'entered'`), [], table);
    }
    deepEqual(store.listInside().map(({ name }) => name), ["full", "labelled", "made"]);
    // The collector's sweep, or the next cleaning, finds the write expired.
    await stores.of("entered").content.discardExpiredIngests();
    deepEqual(database.all("SELECT * FROM ingests WHERE namespace = 'entered'"), []);
  }));

Deno.test("LeaseStore.releaseInside() takes one thing off one lease, and counts it as a deletion", () =>
  withStores(async (stores) => {
    const { leases: store, database, objects } = stores.of("default");
    await database.transaction(() => {
      for (const id of ["a", "b"]) {
        store.insertInside(id, { labels: {} });
        for (const key of ["k", "l"]) objects.hold(id, "image", key);
      }
    });
    const before = database.changes.deletions;
    await database.transaction(() => {
      for (let twice = 0; twice < 2; twice++) store.releaseInside("a", { kind: "image", key: "k" });
    });
    equal(database.changes.deletions - before, 1);
    deepEqual([store.resources("a"), store.resources("b")], [
      [{ kind: "image", key: "l" }],
      [{ kind: "image", key: "k" }, { kind: "image", key: "l" }],
    ]);
  }));

Deno.test("ImageStore holds an image under a lease only where the image expires", () =>
  withStores(async (stores) => {
    const { images: store, leases: leaseStore, database } = stores.of("default");
    const labels = { "containerd.io/gc.expire": "2100-01-01T00:00:00Z" };
    await database.transaction(() => {
      leaseStore.insertInside("l", { labels: {} });
      store.insertInside({ name: "lasting", target, labels: {} }, "l");
      store.insertInside({ name: "expiring", target, labels }, "l");
      store.insertInside({ name: "later", target, labels: {} });
      store.updateInside({ name: "later", target, labels, updated: 1 }, "l");
    });
    deepEqual(leaseStore.resources("l"), [{ kind: "image", key: "expiring" }, { kind: "image", key: "later" }]);
    await database.transaction(() => store.deleteInside("expiring"));
    deepEqual(leaseStore.resources("l"), [{ kind: "image", key: "later" }]);
  }));
