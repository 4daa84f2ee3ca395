import assert from "node:assert/strict";
import { Bundle, bundlesIn, removeOrphanedWork } from "./bundle.ts";

async function withPlaces(body: (places: { state: string; root: string }) => Promise<void> | void): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body({ state: `${directory}/state`, root: `${directory}/root` });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const spec = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const modeOf = (path: string) => Deno.lstatSync(path).mode! & 0o7777;

Deno.test("Bundle.create() makes containerd's layout, and delete() leaves nothing of it", () =>
  withPlaces(async (places) => {
    const bundle = new Bundle(places, "ns", "one");
    bundle.create(spec({ ociVersion: "1.0.2" }));
    assert.equal(modeOf(bundle.path), 0o700);
    assert.equal(modeOf(`${bundle.path}/rootfs`), 0o711);
    assert.equal(modeOf(bundle.workPath), 0o711);
    assert.equal(Deno.readLinkSync(`${bundle.path}/work`), bundle.workPath);
    assert.equal(Deno.readTextFileSync(`${bundle.path}/config.json`), '{"ociVersion":"1.0.2"}');
    assert.throws(() => bundle.create(spec({})), {
      code: "AlreadyExists",
      message: `mkdir ${bundle.path}: file exists`,
    });
    assert.equal(bundle.endpoint(), undefined);
    await Deno.writeTextFile(`${bundle.path}/address`, "unix:///legacy");
    assert.equal(bundle.endpoint()!.address, "unix:///legacy");
    const endpoint = { version: 3, address: "unix:///a", protocol: "ttrpc" } as const;
    bundle.writeEndpoint(endpoint);
    bundle.writeShimPath("/bin/shim");
    assert.deepEqual(bundle.endpoint(), endpoint);
    assert.equal(bundle.shimPath(), "/bin/shim");
    assert.equal(bundle.exitTold(), false);
    bundle.noteExitTold();
    assert.equal(bundle.exitTold(), true);
    assert.deepEqual(bundlesIn(places), [{ namespace: "ns", id: "one" }]);
    await bundle.delete();
    await bundle.delete();
    bundle.noteExitTold();
    assert.deepEqual([bundle.exists(), [...Deno.readDirSync(`${places.root}/ns`)]], [false, []]);
  }));

Deno.test(
  "Bundle.create() gives the bundle to the mapped root's group",
  { ignore: Deno.uid() !== 0 },
  () =>
    withPlaces((places) => {
      const bundle = new Bundle(places, "ns", "mapped");
      bundle.create(spec({ linux: { gidMappings: [{ containerID: 5, hostID: 7 }, { hostID: 4711 }] } }));
      assert.deepEqual([modeOf(bundle.path), Deno.statSync(bundle.path).gid], [0o710, 4711]);
    }),
);

Deno.test("Bundle.delete() removes no file of a root file system that is still there", () =>
  withPlaces(async (places) => {
    const bundle = new Bundle(places, "ns", "one");
    bundle.create(spec({}));
    await Deno.writeTextFile(`${bundle.path}/rootfs/precious`, "");
    await assert.rejects(bundle.delete(), { code: "FailedPrecondition" });
    assert.equal(Deno.statSync(`${bundle.path}/rootfs/precious`).isFile, true);
  }));

Deno.test("bundlesIn() removes bundles that are empty or half removed; removeOrphanedWork() the rest", () =>
  withPlaces(async (places) => {
    assert.deepEqual(bundlesIn(places), []);
    const bundle = new Bundle(places, "ns", "one");
    bundle.create(spec({}));
    await Deno.mkdir(`${places.state}/ns/empty`);
    await Deno.mkdir(`${places.state}/ns/.removed/x`, { recursive: true });
    await Deno.mkdir(`${places.state}/ns/.other/rootfs`, { recursive: true });
    await Deno.mkdir(`${places.root}/ns/.removed`, { recursive: true });
    await Deno.mkdir(`${places.root}/ns/orphan/x`, { recursive: true });
    assert.deepEqual(bundlesIn(places), [{ namespace: "ns", id: "one" }]);
    assert.deepEqual([...Deno.readDirSync(`${places.state}/ns`)].map(({ name }) => name).sort(), [".other", "one"]);
    await removeOrphanedWork(places, (namespace, id) => namespace === "ns" && id === "one");
    assert.deepEqual([...Deno.readDirSync(`${places.root}/ns`)].map(({ name }) => name), ["one"]);
  }));
