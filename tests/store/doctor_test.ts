import assert from "node:assert/strict";
import type { Platform } from "../../api/oci/image_spec.ts";
import { archive } from "../../daemon/diff/archive_fixture.ts";
import { putBlob, putImage, putLayer, withStores } from "../../daemon/gc/garbage_fixture.ts";
import { MemoryImage, MemorySource } from "../../daemon/images/image_fixture.ts";
import { pull } from "../../daemon/images/pull.ts";
import { openStores, type Stores } from "../../daemon/store.ts";
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
    const { code, stdout, stderr } = await doctor(stores.root, "--hash");
    assert.deepEqual([code, stdout], [0, `${stores.root}: nothing is wrong\n`]);
    assert.match(stderr, /^barge doctor: 2 committed snapshots were not compared: no image that is here says/);
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

const layers = [
  archive(
    { name: "etc/", type: "5", mode: 0o755 },
    { name: "etc/passwd", data: "root:x:0:0::/:/bin/sh\n" },
    { name: "etc/gone", data: "x" },
    { name: "bin/tool", data: new Uint8Array(600_000).map((_, at) => at * 31 >> 4) },
    { name: "replaced", data: "before" },
  ),
  archive({ name: "etc/.wh.gone" }, { name: "replaced", data: "after it" }, {
    name: "etc/hosts",
    data: "127.0.0.1 me\n",
  }),
];
const image = new MemoryImage(layers);
const platform: Platform = { os: "linux", architecture: "amd64" };

for (const snapshotter of ["overlayfs", "native"]) {
  Deno.test({
    name: `barge doctor --hash names files of ${snapshotter} snapshots that a power cut or a disk has damaged`,
    ignore: Deno.uid() !== 0,
    fn: () =>
      withStores(async (stores) => {
        const signal = AbortSignal.timeout(60_000);
        const { root } = stores;
        const { chainId } = await pull(stores.of("default"), new MemorySource(image), {
          platform,
          snapshotter,
          signal,
        });
        const healthy = await doctor(root, "--hash");
        assert.deepEqual([healthy.code, healthy.stdout, healthy.stderr], [0, `${root}: nothing is wrong\n`, ""]);

        const [base, top] = stores.database.all<{ id: number; key: string }>(
          "SELECT id, key FROM snapshots ORDER BY parent",
        );
        const filesOf = ({ id }: { id: number }) =>
          `${root}/io.containerd.snapshotter.v1.${snapshotter}/snapshots/${id}${snapshotter === "native" ? "" : "/fs"}`;
        assert.equal(top!.key, chainId);
        Deno.truncateSync(`${filesOf(base!)}/etc/passwd`);
        const tool = `${filesOf(base!)}/bin/tool`;
        const bytes = Deno.readFileSync(tool);
        bytes[555_555]! ^= 1;
        Deno.writeFileSync(tool, bytes);
        // In the upper one of a native store lies a copy of everything.
        if (snapshotter === "native") Deno.removeSync(`${filesOf(top!)}/etc/passwd`);
        Deno.truncateSync(`${filesOf(top!)}/replaced`);

        assert.equal((await doctor(root)).stdout, `${root}: nothing is wrong\n`);
        const found = await doctor(root, "--hash");
        assert.equal(found.code, 1);
        const lines = found.stdout.split("\n");
        const line = (of: { key: string }) =>
          lines.find((line) => line.startsWith(`damaged snapshot: snapshot "${snapshotter}/${of.key}"`));
        assert.match(
          line(base!)!,
          /: 2 files are not as the image has them: "bin\/tool" has other content, "etc\/passwd" has 0 bytes instead of 22; repair: it is forgotten/,
        );
        assert.match(
          line(top!)!,
          snapshotter === "native"
            ? /: 2 files are .*: "etc\/passwd" is gone, "replaced" has 0 bytes instead of 8; repair/
            : /: a file is not as the image has it: "replaced" has 0 bytes instead of 8; repair/,
        );

        // What a container has written is not thrown away.
        const snapshots = stores.of("default").snapshotter(snapshotter);
        await snapshots.prepare("container", { parent: chainId! });
        stores.close();
        const refused = await doctor(root, "--hash", "--repair");
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, /snapshot "container" of a container stands on it: save what that has/);
        {
          using again = await openStores(root);
          await again.of("default").snapshotter(snapshotter).remove("container");
        }
        const repaired = await doctor(root, "--hash", "--repair");
        assert.deepEqual([repaired.code, repaired.stderr], [0, ""]);
        {
          using again = await openStores(root);
          await pull(again.of("default"), new MemorySource(image), { platform, snapshotter, signal });
        }
        assert.deepEqual((await doctor(root, "--hash")).stdout, `${root}: nothing is wrong\n`);
      }),
  });
}
