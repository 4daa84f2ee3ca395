import assert from "node:assert/strict";
import { mediaTypes } from "../../../api/oci/image_spec.ts";
import { guessManifestType, manifestTypeOf } from "./manifest_kind.ts";

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

Deno.test("guessManifestType() tells by fields and refuses what could be two things", () => {
  assert.equal(guessManifestType(bytes({ manifests: [] })), mediaTypes.ociIndex);
  assert.equal(guessManifestType(bytes({ config: {}, layers: [] })), mediaTypes.ociManifest);
  assert.equal(
    guessManifestType(bytes({ mediaType: mediaTypes.dockerManifest, config: {}, layers: [] })),
    mediaTypes.dockerManifest,
  );
  assert.throws(() => guessManifestType(bytes({ manifests: [], layers: [] })), /an index and an image at once/);
  assert.throws(() => guessManifestType(bytes({})), /neither/);
  assert.throws(() => guessManifestType(bytes(null)), /neither/);
  assert.throws(() => guessManifestType(bytes({ schemaVersion: 1, fsLayers: [] })), /schema 1/);
  assert.throws(() => guessManifestType(new TextEncoder().encode("<html>")), /not JSON/);
});

Deno.test("manifestTypeOf() drops parameters and refuses schema 1", () => {
  assert.equal(manifestTypeOf(`${mediaTypes.ociIndex}; charset=utf-8`), mediaTypes.ociIndex);
  assert.equal(manifestTypeOf("application/json"), undefined);
  assert.equal(manifestTypeOf(null), undefined);
  assert.throws(() => manifestTypeOf(mediaTypes.dockerSchema1), /schema 1/);
  assert.throws(() => manifestTypeOf("text/plain; charset=utf-8"), /schema 1/);
});
