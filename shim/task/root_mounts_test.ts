import assert from "node:assert/strict";
import type { Mount } from "../../api/gen/types/mount.ts";
import { parseSpec } from "../oci/spec/parse.ts";
import { prepareRoot } from "./root_mounts.ts";

const spec = parseSpec(JSON.stringify({ ociVersion: "1.0.2", root: { path: "rootfs" } }));

async function inBundle(body: (bundle: string) => void): Promise<void> {
  const bundle = await Deno.makeTempDir();
  try {
    body(bundle);
  } finally {
    await Deno.remove(bundle, { recursive: true });
  }
}

const overlay = (...options: string[]): Mount => ({ type: "overlay", source: "overlay", target: "", options });

Deno.test("prepareRoot() leaves an overlay to the container's own namespace, relative to what its layers share", async () => {
  await inBundle((bundle) => {
    const mount = overlay("index=off", "workdir=/s/3/work", "upperdir=/s/3/fs", "lowerdir=/s/2/fs:/s/1/fs");
    assert.deepEqual(prepareRoot({ spec, bundle, mounts: [mount], external: false }), {
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
  await inBundle((bundle) => {
    const mount: Mount = { type: "bind", source: bundle, target: "", options: ["rbind", "rw"] };
    const source = { kind: "directory", path: Deno.realPathSync(bundle) };
    assert.deepEqual(prepareRoot({ spec, bundle, mounts: [mount], external: false }), { source });
    const there = prepareRoot({ spec, bundle, mounts: [], external: false });
    assert.deepEqual(there, { source: { kind: "directory", path: `${Deno.realPathSync(bundle)}/rootfs` } });
  });
});

Deno.test("prepareRoot() refuses a root that is missing or a link", async () => {
  await inBundle((bundle) => {
    assert.throws(() => prepareRoot({ spec, bundle, mounts: [], external: false }), { code: "NotFound" });
    Deno.symlinkSync("/", `${bundle}/rootfs`);
    assert.throws(() => prepareRoot({ spec, bundle, mounts: [], external: false }), { code: "InvalidArgument" });
  });
});
