import { deepEqual, equal, rejects } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { findDead } from "../gc/mark.ts";
import { putBlob, putImage, withStores } from "../gc/garbage_fixture.ts";
import { referencesTo } from "../gc/keepers.ts";

const bref = "containerd.io/gc.bref.image.main";
const expired = { "containerd.io/gc.expire": "2000-01-01T00:00:00Z" };

Deno.test("Objects keeps an image by its back reference while the other image lives, and not after it", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    const digest = await putBlob(store, "m");
    await putImage(store, "extra", digest, { [bref]: "main", ...expired });
    const deadNames = () =>
      stores.database.read(() =>
        findDead(stores.database, Date.now()).dead.filter(({ kind }) => kind === "image").map(({ key }) => key)
      );
    const image = { namespace: "default", kind: "image", key: "extra" };
    // The other one need not be there yet, and what is not there keeps nothing.
    deepEqual(await deadNames(), ["extra"]);
    deepEqual(referencesTo(stores.database, image), []);
    await putImage(store, "main", digest);
    deepEqual(await deadNames(), []);
    equal(referencesTo(stores.database, image).length, 1);
    // New labels of the other one do not touch it, nor does its end.
    await putImage(store, "main", digest, { a: "b" });
    deepEqual(await deadNames(), []);
    await store.images.delete("main");
    deepEqual(await deadNames(), ["extra"]);
    await putImage(store, "main", digest);
    deepEqual(await deadNames(), []);
    // It is replaced with the labels that make it.
    await putImage(store, "extra", digest, expired);
    deepEqual(await deadNames(), ["extra"]);
    deepEqual(referencesTo(stores.database, image), []);
  }));

Deno.test("Objects.labelsBetween() gives the labels of a range of keys of one kind and namespace", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    const digest = await putBlob(store, "m");
    for (const name of ["a", "b", "c", "d"]) await putImage(store, name, digest, name === "c" ? {} : { of: name });
    await putImage(stores.of("other"), "b", digest, { of: "other" });
    const found = await stores.database.read(() => store.objects.labelsBetween("image", "b", "d"));
    deepEqual([...found], [["b", { of: "b" }], ["d", { of: "d" }]]);
  }));

Deno.test("Objects refuses long labels, except those of leases", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    const digest = await putBlob(store, "m");
    const long = { l: "x".repeat(4096) };
    await rejects(putImage(store, "a", digest, long), (error) => isFailure(error, "InvalidArgument"));
    await store.leases.create("l", { labels: long });
    deepEqual((await store.leases.list())[0]?.labels, long);
  }));

Deno.test("Objects.keysLabelled() gives keys in byte order, of the kind and the namespace only", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    const digest = await putBlob(store, "m", { of: "1" });
    for (const name of ["b", "\u{1F600}", "\uFB00", "a"]) await putImage(store, name, digest, { of: "1", x: name });
    await putImage(store, "c", digest, { of: "2" });
    await putImage(stores.of("other"), "d", digest, { of: "1" });
    deepEqual(store.objects.keysLabelled("image", "of", "1"), ["a", "b", "\uFB00", "\u{1F600}"]);
    deepEqual(store.objects.keysLabelled("image", "x", "b"), ["b"]);
    deepEqual(store.objects.keysLabelled("image", "x", ""), []);
  }));
