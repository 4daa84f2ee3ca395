import assert from "node:assert/strict";
import { parseDigest } from "../../api/digest.ts";
import { mediaTypes } from "../../api/oci/image_spec.ts";
import { chainIds } from "./chain_id.ts";
import { childLabels, sourceLabels } from "./content_labels.ts";

const digest = (letter: string) => parseDigest(`sha256:${letter.repeat(64)}`);
const child = (mediaType: string, letter: string) => ({ mediaType, digest: digest(letter), size: 1 });

Deno.test("childLabels() numbers manifests, layers and others each on their own, as containerd does", () => {
  const labels = childLabels([
    child(mediaTypes.dockerConfig, "a"),
    child(mediaTypes.ociLayerZstd, "b"),
    child(mediaTypes.dockerLayerGzip, "c"),
    child(mediaTypes.ociManifest, "d"),
    child(mediaTypes.ociIndex, "e"),
  ]);
  const prefix = "containerd.io/gc.ref.content.";
  assert.deepEqual(labels, {
    [`${prefix}config`]: digest("a"),
    [`${prefix}l.0`]: digest("b"),
    [`${prefix}l.1`]: digest("c"),
    [`${prefix}m.0`]: digest("d"),
    [`${prefix}0`]: digest("e"),
  });
});

Deno.test("sourceLabels() drops the port, joins repositories in order, and keeps to the limit", () => {
  const key = "containerd.io/distribution.source.host";
  assert.deepEqual(sourceLabels(undefined, {}), {});
  assert.deepEqual(sourceLabels({ host: "host:5000", repository: "b" }, { [key]: "c,a,b" }), { [key]: "a,b,c" });
  assert.deepEqual(sourceLabels({ host: "[::1]:5000", repository: "b" }, {}), {
    "containerd.io/distribution.source.[::1]": "b",
  });
  assert.deepEqual(sourceLabels({ host: "host", repository: "r".repeat(4096) }, {}), {});
});

Deno.test("chainIds() gives the image specification's names", async () => {
  assert.deepEqual(await chainIds([]), []);
  const [first, second] = await chainIds([digest("a"), digest("b")]);
  assert.equal(first, digest("a"));
  // printf 'sha256:aa… sha256:bb…' | sha256sum
  const { createHash } = await import("node:crypto");
  const text = `${digest("a")} ${digest("b")}`;
  assert.equal(second, `sha256:${createHash("sha256").update(text).digest("hex")}`);
});
