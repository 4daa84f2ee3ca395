import { equal } from "node:assert/strict";
import type { Digest } from "../../api/digest.ts";
import { digestOf } from "../sources/digest_of.ts";
import { openStore, type Store } from "../store.ts";
import { isForeign, markAllForeign, markForeign, takeForeign } from "./foreign_blobs.ts";

const bytes = new TextEncoder().encode("somebody's");

async function withFile(body: (store: Store, digest: Digest) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "barge-foreign-" });
  try {
    using store = await openStore(root);
    const digest = await digestOf(bytes);
    await Deno.writeFile(store.content.path(digest), bytes);
    await markAllForeign(store.database, store.content.files);
    await body(store, digest);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("markAllForeign() keeps files that were there, and they serve as long as they are wanted", () =>
  withFile(async ({ content }, digest) => {
    equal(await content.claim(digest, { size: bytes.length }), true);
    await content.delete(digest);
    equal(content.files.size(digest), bytes.length);
    // Whoever asks for another size is wrong, and not the file.
    equal(await content.claim(digest, { size: 3 }), false);
    equal(content.files.size(digest), bytes.length);
  }));

Deno.test("markAllForeign() leaves out what is ours, and forgets what has gone", () =>
  withFile(async ({ content, database }, digest) => {
    const own = new TextEncoder().encode("ours");
    const expected = await digestOf(own);
    await content.put("own", own, { expected, size: own.length, signal: new AbortController().signal });
    await Deno.remove(content.path(digest));
    await markAllForeign(database, content.files);
    equal(await database.read(() => isForeign(database, expected)), false);
    equal(await database.read(() => isForeign(database, digest)), false);
    await content.delete(expected);
    equal(content.files.size(expected), undefined);
  }));

Deno.test("takeForeign() makes files ours that have rows, but for those that are named", () =>
  withFile(async ({ content, database }, digest) => {
    await content.claim(digest, { size: bytes.length });
    await database.transaction(() => takeForeign(database, [digest]));
    equal(await database.read(() => isForeign(database, digest)), true);
    await database.transaction(() => takeForeign(database, []));
    equal(await database.read(() => isForeign(database, digest)), false);
    await content.delete(digest);
    equal(content.files.size(digest), undefined);
    await database.transaction(() => {
      markForeign(database, digest);
      takeForeign(database, []);
    });
    equal(await database.read(() => isForeign(database, digest)), true);
  }));
