import assert from "node:assert/strict";
import { putBlob, putImage, putLayer, withStores } from "../../daemon/gc/garbage_fixture.ts";
import type { Stores } from "../../daemon/store.ts";
import { barge, execute, type Finished } from "../command.ts";

const run = (stores: Stores, ...args: string[]): Promise<Finished> =>
  execute([...barge, args[0]!, "--root", stores.root, ...args.slice(1)]);

async function fill(stores: Stores): Promise<{ layer: string; manifest: string; loose: string }> {
  const store = stores.of("default");
  await putLayer(store, "base");
  const layer = await putBlob(store, "layer", { "containerd.io/gc.ref.snapshot.native": "base" });
  const manifest = await putBlob(store, "manifest", { "containerd.io/gc.ref.content.l.0": layer });
  await putImage(store, "docker.io/library/it:latest", manifest);
  const loose = await putBlob(store, "loose");
  return { layer, manifest, loose };
}

Deno.test("barge why shows the chain from the root to the object, also for the beginning of a digest", () =>
  withStores(async (stores) => {
    const { layer, manifest, loose } = await fill(stores);
    const { stdout, code } = await run(stores, "why", layer.slice(7, 19), "base", loose);
    assert.equal(code, 0);
    assert.equal(
      stdout,
      `blob ${layer} in namespace "default" is kept by
  image "docker.io/library/it:latest"
    blob ${manifest} is its target
      this by label containerd.io/gc.ref.content.l.0

snapshot "native/base" in namespace "default" is kept by
  image "docker.io/library/it:latest"
    blob ${manifest} is its target
      blob ${layer} by label containerd.io/gc.ref.content.l.0
        this by label containerd.io/gc.ref.snapshot.native

blob ${loose} in namespace "default"
  is kept by nothing: the next collection removes it
`,
    );
    const missing = await run(stores, "why", "sha256:ffff");
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /^barge why: there is no object "sha256:ffff" in any namespace\n$/);
  }));

Deno.test("barge gc --explain tells why, changes nothing, and barge gc removes just that", () =>
  withStores(async (stores) => {
    const { loose } = await fill(stores);
    const explained = await run(stores, "gc", "--explain");
    assert.equal(
      explained.stdout,
      `would remove blob ${loose} of namespace "default": nothing refers to it\n1 object\n`,
    );
    const dry = JSON.parse((await run(stores, "gc", "--dry-run", "--json")).stdout);
    assert.deepEqual(dry, [{ namespace: "default", kind: "content", key: loose }]);
    stores.close();
    const collected = await run(stores, "gc");
    assert.equal(collected.stdout, `removed blob ${loose} of namespace "default"\n`);
    assert.equal((await run(stores, "gc", "--dry-run")).stdout, "nothing to collect\n");
  }));

Deno.test("barge df adds up to what du says", () =>
  withStores(async (stores) => {
    await fill(stores);
    const { stdout } = await run(stores, "df", "--json");
    const { rows, total } = JSON.parse(stdout);
    const du = await execute(["du", "-s", "--block-size=1", stores.root]);
    assert.equal(total, Number(du.stdout.split("\t")[0]));
    assert.equal(rows.reduce((sum: number, { size }: { size: number }) => sum + size, 0), total);
    const content = rows.find(({ what }: { what: string }) => what === "content");
    assert.deepEqual([content.objects, content.reclaimable], [3, 4096]);
    const text = (await run(stores, "df")).stdout;
    assert.match(text, /^WHAT +OBJECTS +SIZE +RECLAIMABLE$/m);
  }));

Deno.test("the commands of the store name a root that has none", async () => {
  const { code, stderr } = await execute([...barge, "df", "--root", "/nonexistent"]);
  assert.equal(code, 1);
  assert.match(stderr, /^barge df: there is no store of barge in "\/nonexistent": name its directory with --root\n$/);
});
