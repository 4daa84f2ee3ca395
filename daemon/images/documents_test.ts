import assert from "node:assert/strict";
import { parseDigest } from "../../api/digest.ts";
import { isFailure } from "../../api/errors.ts";
import { layersMax, parseConfig, parseIndex, parseManifest } from "./documents.ts";

const digest = parseDigest(`sha256:${"a".repeat(64)}`);
const descriptor = { mediaType: "application/vnd.oci.image.layer.v1.tar", digest, size: 1 };
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const malformed = (text: RegExp) => (error: unknown) =>
  isFailure(error, "InvalidArgument") && error.message.includes(digest) && text.test(error.message);

Deno.test("parseIndex() and parseManifest() say what is wrong with a document", () => {
  for (const value of ["", "{", "[]", "null", "\xff"]) {
    assert.throws(() => parseIndex(bytes(value), digest), malformed(/malformed/));
  }
  assert.throws(
    () => parseIndex(bytes({ manifests: [{ ...descriptor, digest: "sha256:x" }] }), digest),
    malformed(/descriptors/),
  );
  assert.throws(() => parseManifest(bytes({ layers: [] }), digest), malformed(/"config"/));
  assert.throws(() => parseManifest(bytes({ config: descriptor }), digest), malformed(/"layers"/));
  for (const size of [-1, 1.5, "1", 2 ** 60]) {
    const layers = [{ ...descriptor, size }];
    assert.throws(
      () => parseManifest(bytes({ config: descriptor, layers }), digest),
      malformed(/"layers"/),
      String(size),
    );
  }
  const layers = Array.from({ length: layersMax + 1 }, () => descriptor);
  assert.throws(() => parseManifest(bytes({ config: descriptor, layers }), digest), malformed(/501 layers/));
});

Deno.test("parseConfig() wants as many diff ids as layers, and the types that a run uses", () => {
  const rootfs = { type: "layers", diff_ids: [digest] };
  assert.equal(parseConfig(bytes({ os: "linux", architecture: "amd64", rootfs }), digest, 1).rootfs.diff_ids.length, 1);
  assert.throws(() => parseConfig(bytes({ rootfs }), digest, 2), malformed(/number of layers and diffIDs don't match/));
  assert.throws(() => parseConfig(bytes({}), digest, 0), malformed(/no "rootfs"/));
  assert.throws(
    () => parseConfig(bytes({ rootfs: { ...rootfs, type: "other" } }), digest, 1),
    malformed(/rootfs.type/),
  );
  for (
    const [key, value] of [["Env", "A=b"], ["Cmd", [1]], ["Entrypoint", {}], ["User", 0], ["WorkingDir", []], [
      "Volumes",
      ["/a"],
    ]] as const
  ) {
    assert.throws(
      () => parseConfig(bytes({ rootfs, config: { [key]: value } }), digest, 1),
      malformed(new RegExp(`config.${key}`)),
    );
  }
  parseConfig(bytes({ rootfs, config: { Env: null, Cmd: null, User: "" } }), digest, 1);
  const nothing = { User: null, WorkingDir: null, StopSignal: null, Volumes: null, Labels: null };
  assert.deepEqual(parseConfig(bytes({ rootfs, config: nothing }), digest, 1).config, {});
  assert.equal(parseConfig(bytes({ rootfs, config: null }), digest, 1).config, undefined);
});
