/**
 * Mounts of `barge run` whose destinations are links of an image of several layers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { makeRootfs } from "./bundle.ts";
import { succeed } from "./command.ts";
import { architecture, runTest } from "./images.ts";
import { tarOf, writeLayout } from "./registry.ts";

/** Links to what is not there: one of a name, one of a directory on the way, and two that the second layer takes back. */
const first = "ln -s ../run/resolve/stub etc/resolv.conf; ln -s /data/volume volume; ln -s /data/way way; " +
  "ln -s /nowhere replaced; mkdir opaque; ln -s /nowhere opaque/place";
const second = "mkdir replaced opaque; touch opaque/.wh..wh..opq";

runTest(
  "barge run mounts behind links that lead nowhere, as the topmost layer has them",
  [],
  async (run, _, scratch) => {
    const layers: Uint8Array[] = [];
    for (const [index, script] of [first, second].entries()) {
      const tree = `${scratch.path}/tree${index}`;
      await Deno.mkdir(tree);
      if (index === 0) await makeRootfs(tree);
      await succeed(["sh", "-ec", script], { cwd: tree });
      layers.push(await tarOf(tree));
    }
    const layout = `${scratch.path}/linked`;
    await writeLayout(layout, layers, { architectures: [architecture], run: { Env: ["PATH=/bin"] } });
    const volume = `${scratch.path}/volume`;
    await Deno.mkdir(volume);
    await Deno.writeTextFile(`${volume}/file`, "");
    const places = ["/volume", "/way/deep", "/replaced", "/opaque/place"];
    const volumes = places.flatMap((place) => ["-v", `${volume}:${place}`]);
    const script = "for place in /data/volume /data/way/deep /replaced /opaque/place; do ls $place; done; " +
      "ls -d /nowhere 2>/dev/null; grep -c . /run/resolve/stub /etc/resolv.conf";
    const output = await run.succeed(["--quiet", ...volumes, `oci:${layout}:latest`, "sh", "-c", script]);
    assert.match(output, /^(file\n){4}\/run\/resolve\/stub:[1-9]\d*\n\/etc\/resolv.conf:[1-9]\d*\n$/);
  },
);
