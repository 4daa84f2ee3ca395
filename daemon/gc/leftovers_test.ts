import { deepEqual, equal, rejects } from "node:assert/strict";
import { stockDatabase } from "../root_lock.ts";
import type { Stores } from "../store.ts";
import { objectsOf, putBlob, putLayer, withStores } from "./garbage_fixture.ts";
import { discardLeftovers, restoreInterrupted } from "./leftovers.ts";

const { signal } = new AbortController();
const kept = { "containerd.io/gc.root": "test" };
const nobodys = "0".repeat(64);

const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name);

/** Leaves what a killed daemon may leave, beside a blob and a layer; gives the paths of that. */
async function fill(stores: Stores): Promise<readonly string[]> {
  const store = stores.of("default");
  await putBlob(store, "kept", kept);
  await putLayer(store, "layer", undefined, kept);
  const content = `${stores.root}/io.containerd.content.v1.content`;
  const snapshots = `${stores.root}/io.containerd.snapshotter.v1.native/snapshots`;
  const files = [`${content}/blobs/sha256/${nobodys}`, `${stores.root}/trash/file`];
  const directories = [`${content}/ingest/unnamed`, `${snapshots}/new-unfinished`, `${stores.root}/trash/tree/deep`];
  for (const path of files) Deno.writeTextFileSync(path, "x");
  for (const path of directories) Deno.mkdirSync(path, { recursive: true });
  return [...files, ...directories];
}

const isThere = (path: string) => {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false; // Gone, which is what is asked.
  }
};

Deno.test("discardLeftovers() removes what no row names, and nothing else", () =>
  withStores(async (stores) => {
    const left = await fill(stores);
    const before = await objectsOf(stores.of("default"));
    await discardLeftovers(stores, signal);
    deepEqual(left.filter(isThere), []);
    deepEqual(await objectsOf(stores.of("default")), before);
    equal(names(`${stores.root}/io.containerd.content.v1.content/blobs/sha256`).length, 1);
    equal(names(`${stores.root}/io.containerd.snapshotter.v1.native/snapshots`).length, 1);
  }));

Deno.test("discardLeftovers() leaves blobs and writes alone where a stock containerd's database may name them", () =>
  withStores(async (stores) => {
    const [blob, , ingest] = await fill(stores);
    const stock = `${stores.root}/${stockDatabase}`;
    Deno.mkdirSync(stock.slice(0, stock.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(stock, "");
    await discardLeftovers(stores, signal);
    deepEqual([blob!, ingest!].map(isThere), [true, true]);
    deepEqual(names(`${stores.root}/trash`), []);
  }));

Deno.test("discardLeftovers() goes on where one thing cannot be removed, and throws that", () =>
  withStores(async (stores) => {
    await fill(stores);
    // Reading the directory of unfinished writes fails, before the trash has its turn.
    Deno.removeSync(`${stores.root}/io.containerd.content.v1.content/ingest`, { recursive: true });
    await rejects(discardLeftovers(stores, signal), Deno.errors.NotFound);
    deepEqual(names(`${stores.root}/trash`), []);
  }));

Deno.test("discardLeftovers() removes a snapshot whose maker died before its commit, unless it may be another's", () =>
  withStores(async (stores) => {
    await putLayer(stores.of("default"), "layer", undefined, kept);
    const place = `${stores.root}/io.containerd.snapshotter.v1.native`;
    const [ours] = names(`${place}/snapshots`).map((name) => `${place}/snapshots/${name}`);
    const [unused, used] = [2, 3].map((id) => `${place}/snapshots/${id}`) as [string, string];
    const make = () => [`${unused}/fs`, `${unused}/work`].forEach((path) => Deno.mkdirSync(path, { recursive: true }));
    make();
    Deno.mkdirSync(`${used}/fs/tree`, { recursive: true });
    await discardLeftovers(stores, signal);
    deepEqual([ours!, unused, used].map(isThere), [true, false, true]);
    make();
    Deno.writeTextFileSync(`${place}/metadata.db`, "");
    await discardLeftovers(stores, signal);
    deepEqual([ours!, unused, used].map(isThere), [true, true, true]);
  }));

Deno.test("discardLeftovers() ends by its signal", () =>
  withStores(async (stores) => {
    const left = await fill(stores);
    await rejects(discardLeftovers(stores, AbortSignal.abort(new Error("enough"))), /enough/);
    deepEqual(left.filter(isThere), left);
  }));

Deno.test("restoreInterrupted() puts a blob back whose row was not deleted, before the trash is emptied", () =>
  withStores(async (stores) => {
    const { content, objects } = stores.of("other");
    const digest = await putBlob(stores.of("other"), "blob", kept);
    // The transaction moves the file and is never committed: its undo is not run either, as its process is dead.
    await rejects(objects.database.transaction((undo) => {
      content.deleteInside(digest, undo);
      undo.splice(0);
      throw new Error("killed");
    }));
    equal(isThere(content.path(digest)), false);
    await restoreInterrupted(stores);
    await discardLeftovers(stores, signal);
    equal(new TextDecoder().decode(await content.read(digest)), "blob");
  }));
