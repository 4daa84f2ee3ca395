/**
 * What every store of records keeps to, as tests: names, labels, order, references. A store runs them through a factory.
 *
 * @module
 */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import type { Database } from "./database.ts";
import type { Labels, ObjectKind } from "./label_refs.ts";
import type { Objects } from "./objects.ts";

/** A record as all stores have it. */
export interface SuiteRecord {
  readonly key: string;
  readonly labels: Labels;
  readonly created: number;
  readonly updated?: number;
}

/** A store of records, in the words of the suite. What ends in `Inside` runs inside a transaction. */
export interface RecordStore {
  readonly objects: Objects;
  readonly kind: ObjectKind;
  insertInside(key: string, labels: Labels): boolean;
  /** Undefined where records of this kind do not change. */
  readonly updateInside: ((key: string, labels: Labels, updated: number) => void) | undefined;
  /** Says whether there was one. */
  deleteInside(key: string): boolean;
  findInside(key: string): SuiteRecord | undefined;
  pages(): AsyncIterable<SuiteRecord[]>;
}

/** Makes a store of two namespaces for one test. */
export type RecordFactory = (body: (store: RecordStore, other: RecordStore) => Promise<void>) => Promise<void>;

/** Declares the tests for one store. */
export function recordSuite(name: string, factory: RecordFactory): void {
  Deno.test(`${name} refuses a second record of a key, in its namespace only`, () =>
    factory(async (store, other) => {
      const { database } = store.objects;
      const insert = (at: RecordStore, value: string) => database.transaction(() => at.insertInside("k", { l: value }));
      deepEqual([await insert(store, "1"), await insert(store, "2"), await insert(other, "3")], [true, false, true]);
      deepEqual([labelsOf(store, "k"), labelsOf(other, "k")], [{ l: "1" }, { l: "3" }]);
      equal(await database.transaction(() => store.deleteInside("k")), true);
      equal(await database.transaction(() => store.deleteInside("k")), false);
      deepEqual([store.findInside("k"), labelsOf(other, "k")], [undefined, { l: "3" }]);
      equal(await insert(store, "4"), true);
    }));

  Deno.test(`${name} replaces labels and keeps none that is empty, and notes when`, () =>
    factory(async (store) => {
      const { database } = store.objects;
      const began = Date.now();
      await database.transaction(() => store.insertInside("k", { a: "1", e: "" }));
      const first = store.findInside("k")!;
      deepEqual(first.labels, { a: "1" });
      equal(first.created >= began && first.created < Date.now() + 1, true);
      const { updateInside } = store;
      if (updateInside === undefined) return;
      await database.transaction(() => updateInside("k", { b: "2", a: "" }, 1_796_150_423_016.431));
      const second = store.findInside("k")!;
      deepEqual([second.labels, second.created, second.updated], [{ b: "2" }, first.created, 1_796_150_423_016.431]);
    }));

  Deno.test(`${name} leaves nothing of a record that is deleted`, () =>
    factory(async (store) => {
      const { database, namespace } = store.objects;
      const refers = { "containerd.io/gc.ref.content.x": "sha256:x", "containerd.io/gc.bref.image": "i" };
      await database.transaction(() => {
        store.insertInside("k", refers);
        store.updateInside?.("k", refers, 1);
      });
      equal(rowsOf(database, namespace, store.kind).length > 0, true);
      await database.transaction(() => store.deleteInside("k"));
      deepEqual(rowsOf(database, namespace, store.kind), []);
    }));

  Deno.test(`${name} takes back what a transaction did that fails`, () =>
    factory(async (store) => {
      const { database } = store.objects;
      const failing = database.transaction(() => {
        store.insertInside("k", { a: "1" });
        throw new Error("later");
      });
      await rejects(failing, /later/);
      deepEqual([store.findInside("k"), await Array.fromAsync(store.pages())], [undefined, []]);
    }));

  Deno.test(`${name} lists its namespace in byte order of the keys, over many pages, and lets others work`, () =>
    factory(async (store, other) => {
      const { database } = store.objects;
      const keys = Array.from({ length: 1001 }, (_, index) => `k${index}`);
      await database.transaction(() => {
        for (const key of ["Z", "a", ...keys]) store.insertInside(key, key === "k7" ? {} : { of: key });
        other.insertInside("elsewhere", {});
      });
      const pages = await Array.fromAsync(store.pages());
      deepEqual(pages.flat().map(({ key }) => key), ["Z", "a", ...keys.toSorted()]);
      for (const { key, labels } of pages.flat()) deepEqual(labels, key === "k7" ? {} : { of: key });
      equal(pages.length > 1, true);
      let turns = 0;
      const timer = setInterval(() => turns++, 0);
      // A slow reader of pages: the event loop turns between them all the same.
      for await (const _ of store.pages()) for (const end = performance.now() + 25; performance.now() < end;);
      clearInterval(timer);
      equal(turns > 0, true);
    }));

  Deno.test(`${name} refuses labels that are too long, except on leases`, () =>
    factory(async (store) => {
      const { database } = store.objects;
      const insert = database.transaction(() => store.insertInside("k", { l: "x".repeat(4096) }));
      if (store.kind === "lease") equal(await insert, true);
      else {
        await rejects(insert, (error) => isFailure(error, "InvalidArgument"));
        equal(store.findInside("k"), undefined);
      }
    }));
}

function labelsOf(store: RecordStore, key: string): Labels | undefined {
  return store.findInside(key)?.labels;
}

function rowsOf(database: Database, namespace: string, kind: ObjectKind): unknown[] {
  return [
    ...database.all("SELECT label FROM labels WHERE namespace = ? AND kind = ?", namespace, kind),
    ...database.all(
      "SELECT name FROM refs WHERE namespace = ?1 AND (from_kind = ?2 OR to_kind = ?2)",
      namespace,
      kind,
    ),
  ];
}
