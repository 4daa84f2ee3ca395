import assert from "node:assert/strict";
import type { Mount } from "../../api/gen/types/mount.ts";
import { parseSpec } from "../oci/spec/parse.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { prepareRoot as prepare, type RootOptions } from "./root_mounts.ts";

const linux = { namespaces: [{ type: "mount" }] };
const spec = parseSpec(JSON.stringify({ ociVersion: "1.0.2", root: { path: "rootfs" }, linux }));

async function prepareRoot(options: RootOptions) {
  using reactor = new Reactor();
  return await prepare(reactor, options);
}

async function inBundle(body: (bundle: string) => Promise<void>): Promise<void> {
  const bundle = await Deno.makeTempDir();
  try {
    await body(bundle);
  } finally {
    await Deno.remove(bundle, { recursive: true });
  }
}

const overlay = (...options: string[]): Mount => ({ type: "overlay", source: "overlay", target: "", options });

Deno.test("prepareRoot() leaves an overlay to the container's own namespace, relative to what its layers share", async () => {
  await inBundle(async (bundle) => {
    const mount = overlay("index=off", "workdir=/s/3/work", "upperdir=/s/3/fs", "lowerdir=/s/2/fs:/s/1/fs");
    assert.deepEqual(await prepareRoot({ spec, bundle, mounts: [mount], external: false }), {
      source: {
        kind: "overlay",
        base: "/s",
        lower: ["2/fs", "1/fs"],
        upper: "3/fs",
        work: "3/work",
        options: ["index=off"],
        mountpoint: `${bundle}/rootfs`,
      },
    });
  });
});

Deno.test("prepareRoot() takes a writable bind as it is, and an empty list for a root that is there", async () => {
  await inBundle(async (bundle) => {
    const mount: Mount = { type: "bind", source: bundle, target: "", options: ["rbind", "rw"] };
    const source = { kind: "directory", path: Deno.realPathSync(bundle) };
    assert.deepEqual(await prepareRoot({ spec, bundle, mounts: [mount], external: false }), { source });
    const there = await prepareRoot({ spec, bundle, mounts: [], external: false });
    assert.deepEqual(there, { source: { kind: "directory", path: `${Deno.realPathSync(bundle)}/rootfs` } });
  });
});

Deno.test("prepareRoot() refuses a root that is missing or a link", async () => {
  await inBundle(async (bundle) => {
    await assert.rejects(prepareRoot({ spec, bundle, mounts: [], external: false }), { code: "NotFound" });
    Deno.symlinkSync("/", `${bundle}/rootfs`);
    await assert.rejects(prepareRoot({ spec, bundle, mounts: [], external: false }), { code: "InvalidArgument" });
  });
});

Deno.test("prepareRoot() takes the ids that a snapshotter wants to be mapped, of overlays and binds", async () => {
  await inBundle(async (bundle) => {
    const maps = ["uidmap=0:1000:10,10:5000:5", "gidmap=0:2000:10"];
    const idMaps = {
      uids: [{ containerID: 0, hostID: 1000, size: 10 }, { containerID: 10, hostID: 5000, size: 5 }],
      gids: [{ containerID: 0, hostID: 2000, size: 10 }],
    };
    const options = [...maps, "workdir=/s/3/work", "upperdir=/s/3/fs", "lowerdir=/s/2/fs"];
    const { source } = await prepareRoot({ spec, bundle, mounts: [overlay(...options)], external: false });
    assert.deepEqual([source.kind, source.idMaps], ["overlay", idMaps]);
    const mount: Mount = { type: "bind", source: bundle, target: "", options: [...maps, "rw", "rbind"] };
    const bind = await prepareRoot({ spec, bundle, mounts: [mount], external: false });
    assert.deepEqual(bind, { source: { kind: "directory", path: Deno.realPathSync(bundle), idMaps } });
    for (const wrong of [["uidmap=0:1:1"], ["uidmap=0:1:1", "gidmap=0:1"], [...maps, "gidmap=0:1:1"]]) {
      const mounts = [overlay(...wrong, "lowerdir=/s/2/fs:/s/1/fs")];
      await assert.rejects(prepareRoot({ spec, bundle, mounts, external: false }), { code: "InvalidArgument" });
    }
  });
});

Deno.test("prepareRoot() mounts on the host what a container without a mount namespace of its own gets", async () => {
  await inBundle(async (bundle) => {
    const hosts = { ...spec, linux: { namespaces: [] } };
    // There are no such layers.
    const mounts = [overlay("lowerdir=/nowhere/2:/nowhere/1")];
    await assert.rejects(
      prepareRoot({ spec: hosts, bundle, mounts, external: false }),
      /failed to mount rootfs component/,
    );
  });
});
