import assert from "node:assert/strict";
import { putBlob, putImage, putLayer, withStores } from "../../daemon/gc/garbage_fixture.ts";
import type { Stores } from "../../daemon/store.ts";
import { barge, execute, type Finished } from "../command.ts";

const doctor = (root: string, ...args: string[]): Promise<Finished> =>
  execute([...barge, "doctor", "--root", root, ...args]);

async function fill(stores: Stores) {
  const store = stores.of("default");
  await putLayer(store, "base");
  await putLayer(store, "top", "base");
  const layer = await putBlob(store, "layer", { "containerd.io/gc.ref.snapshot.native": "top" });
  const manifest = await putBlob(store, "manifest", { "containerd.io/gc.ref.content.l.0": layer });
  await putImage(store, "it", manifest);
  return { layer, manifest, pathOf: (digest: typeof layer) => store.content.path(digest) };
}

Deno.test("barge doctor finds nothing wrong with a healthy root", () =>
  withStores(async (stores) => {
    await fill(stores);
    const { code, stdout } = await doctor(stores.root, "--hash");
    assert.deepEqual([code, stdout], [0, `${stores.root}: nothing is wrong\n`]);
  }));

Deno.test("barge doctor names missing, truncated and changed blobs, and sets them aside", () =>
  withStores(async (stores) => {
    const { layer, manifest, pathOf } = await fill(stores);
    const third = await putBlob(stores.of("default"), "third", { "containerd.io/gc.root": "1" });
    Deno.removeSync(pathOf(layer));
    Deno.truncateSync(pathOf(manifest), 3);
    Deno.writeTextFileSync(pathOf(third), "drith");
    const quick = await doctor(stores.root);
    assert.equal(quick.code, 1);
    assert.match(
      quick.stdout,
      new RegExp(`^missing blob: blob ${layer} in namespace "default": its file is gone;`, "m"),
    );
    assert.match(quick.stdout, new RegExp(`^truncated blob: blob ${manifest}.*has 3 bytes, it should have 8;`, "m"));
    assert.doesNotMatch(quick.stdout, /corrupt/);
    assert.match((await doctor(stores.root, "--hash")).stdout, new RegExp(`^corrupt blob: blob ${third}`, "m"));
    const held = await doctor(stores.root, "--hash", "--repair");
    assert.equal(held.code, 1);
    assert.match(held.stderr, /a root has one owner/);
    stores.close();
    const repaired = await doctor(stores.root, "--hash", "--repair");
    assert.equal(repaired.code, 0, repaired.stderr);
    const kept = [...Deno.readDirSync(`${stores.root}/set-aside`)].map(({ name }) => name).sort();
    assert.deepEqual(kept, [manifest, third].map((digest) => digest.replace(":", "-")).sort());
    // The image is named still; what it means has to be pulled again.
    const after = await doctor(stores.root, "--hash");
    assert.match(after.stdout, new RegExp(`^dangling reference: image "it".*refers to blob ${manifest}`));
  }));

Deno.test("barge doctor forgets snapshots without a directory, and what stands on them", () =>
  withStores(async (stores) => {
    await fill(stores);
    const place = `${stores.root}/io.containerd.snapshotter.v1.native/snapshots`;
    const { id } = stores.database.get<{ id: number }>("SELECT id FROM snapshots WHERE key = 'base'")!;
    Deno.removeSync(`${place}/${id}`, { recursive: true });
    const found = await doctor(stores.root);
    assert.match(
      found.stdout,
      /^missing snapshot: snapshot "native\/base" in namespace "default": its directory is gone;/,
    );
    stores.close();
    assert.equal((await doctor(stores.root, "--repair")).code, 0);
    assert.equal((await doctor(stores.root)).code, 0);
    assert.deepEqual([...Deno.readDirSync(place)], []);
  }));

Deno.test("barge doctor removes files that a killed writer left", () =>
  withStores(async (stores) => {
    const { pathOf, layer } = await fill(stores);
    const orphan = pathOf(layer).replace(/[0-9a-f]{64}$/, "0".repeat(64));
    Deno.writeTextFileSync(orphan, "x");
    Deno.writeTextFileSync(`${stores.root}/trash/old`, "x");
    const { stdout } = await doctor(stores.root);
    assert.match(stdout, /^unknown blob file: file of blob sha256:0{64}: no namespace has it: its writer was killed;/m);
    assert.match(stdout, /^leftover: .*trash\/old"/m);
    stores.close();
    assert.equal((await doctor(stores.root, "--repair")).code, 0);
    assert.equal((await doctor(stores.root)).code, 0);
  }));

Deno.test("barge doctor makes a torn database anew from what can be read", () =>
  withStores(async (stores) => {
    const store = stores.of("default");
    for (let n = 0; n < 400; n++) {
      await putImage(store, `image-${String(n).padStart(3, "0")}`, await putBlob(store, "b"));
    }
    stores.close();
    const path = `${stores.root}/io.barge.metadata.v1.sqlite/meta.db`;
    const { size } = Deno.statSync(path);
    {
      // In the middle of the file lie pages of rows.
      using file = Deno.openSync(path, { read: true, write: true });
      file.seekSync(Math.floor(size / 2 / 4096) * 4096, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array(4096).fill(0x5a));
    }
    const found = await doctor(stores.root);
    assert.equal(found.code, 1);
    assert.match(found.stdout, /^damaged database: /m);
    const repaired = await doctor(stores.root, "--repair");
    assert.match(repaired.stdout, /^the database was made anew with \d+ rows; the damaged one is ".*damaged-/m);
    const healthy = await doctor(stores.root);
    assert.doesNotMatch(healthy.stdout, /damaged database/);
    const images = Number(/with (\d+) rows/.exec(repaired.stdout)![1]);
    assert.ok(images > 400, `${images} rows were saved`);
  }));
