/**
 * Stores with objects in them, for the tests of the collector.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type Digest, parseDigest } from "../../api/digest.ts";
import { mediaTypes } from "../../api/oci/image_spec.ts";
import type { Labels } from "../metadata/label_refs.ts";
import { openStores, type Store, type Stores } from "../store.ts";

/** Runs the body on new stores, which are gone afterwards. */
export async function withStores(body: (stores: Stores) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "barge-gc-" });
  try {
    using stores = await openStores(`${directory}/root`);
    await body(stores);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Puts a blob with this text, and gives its digest. */
export async function putBlob(store: Store, text: string, labels: Labels = {}, lease?: string): Promise<Digest> {
  const bytes = new TextEncoder().encode(text);
  const expected = parseDigest("sha256:" + createHash("sha256").update(bytes).digest("hex"));
  const signal = AbortSignal.timeout(10_000);
  await store.content.put(`put-${text}`, bytes, {
    expected,
    size: bytes.length,
    labels,
    signal,
    ...(lease === undefined ? {} : { lease }),
  });
  return expected;
}

/** Gives a name to a blob. */
export async function putImage(store: Store, name: string, digest: Digest, labels: Labels = {}): Promise<void> {
  await store.images.put(name, { mediaType: mediaTypes.ociManifest, digest, size: 1 }, labels);
}

/** Makes a committed snapshot. */
export async function putLayer(store: Store, name: string, parent?: string, labels: Labels = {}): Promise<void> {
  const snapshots = store.snapshotter("native");
  await snapshots.prepare(`prepare ${name}`, parent === undefined ? {} : { parent });
  await snapshots.commit(`prepare ${name}`, name, { labels });
}

/** What a namespace has, as `kind/key` in order. */
export async function objectsOf(store: Store): Promise<string[]> {
  const found = [
    ...(await store.images.list()).map(({ name }) => `image/${name}`),
    ...(await store.content.list()).map(({ digest }) => `content/${digest}`),
    ...(await store.leases.list()).map(({ id }) => `lease/${id}`),
    ...(await store.snapshotter("native").list()).map(({ key }) => `snapshot/${key}`),
  ];
  return found.sort();
}
