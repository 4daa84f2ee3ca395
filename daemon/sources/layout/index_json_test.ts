import assert from "node:assert/strict";
import type { Digest } from "../../../api/digest.ts";
import { type Descriptor, mediaTypes } from "../../../api/oci/image_spec.ts";
import { chooseEntries, readEntries } from "./index_json.ts";

function entry(number: number, names: { image?: string; ref?: string; platform?: string } = {}): Descriptor {
  const [os = "", architecture = ""] = (names.platform ?? "").split("/");
  return {
    mediaType: mediaTypes.ociManifest,
    digest: `sha256:${String(number).padStart(64, "0")}` as Digest,
    size: 5,
    annotations: {
      ...(names.image === undefined ? {} : { "io.containerd.image.name": names.image }),
      ...(names.ref === undefined ? {} : { "org.opencontainers.image.ref.name": names.ref }),
    },
    ...(names.platform === undefined ? {} : { platform: { os, architecture } }),
  };
}

const choose = (entries: Descriptor[], wanted?: string) =>
  chooseEntries(entries, wanted, "/x/My_Dir.tar.gz", "the layout");

Deno.test("chooseEntries() takes the only image and names it by its annotations", () => {
  assert.equal(choose([entry(1)]).name, "localhost/my-dir:latest");
  assert.equal(choose([entry(1, { ref: "v1" })]).name, "localhost/my-dir:v1");
  assert.equal(choose([entry(1, { ref: "debian:12" })]).name, "docker.io/library/debian:12");
  assert.equal(choose([entry(1, { ref: "v1", image: "ghcr.io/a/b:v1" })]).name, "ghcr.io/a/b:v1");
  assert.equal(choose([entry(1, { image: "bad\x1b[2J/x:1" })]).name, "localhost/my-dir:latest");
});

Deno.test("chooseEntries() finds an image by tag or name", () => {
  const entries = [
    entry(1, { ref: "a" }),
    entry(2, { ref: "b", image: "docker.io/library/x:b" }),
    entry(3, { ref: "reg.io/y:c" }),
  ];
  assert.deepEqual(choose(entries, "a").entries, [entries[0]]);
  for (const wanted of ["b", "x:b", "docker.io/library/x:b"]) {
    assert.deepEqual(choose(entries, wanted).entries, [entries[1]], wanted);
  }
  assert.deepEqual(choose(entries, "c").entries, [entries[2]]);
  assert.throws(() => choose(entries, "d"), /holds no image "d": it has a, docker.io\/library\/x:b, reg.io\/y:c/);
  assert.throws(() => choose(entries), /holds several images \(a, /);
  assert.throws(() => choose([]), /holds no image$/);
});

Deno.test("chooseEntries() counts one image under two tags once, and platforms under one name as one image", () => {
  assert.equal(choose([entry(1, { ref: "a" }), entry(1, { ref: "b" })]).entries.length, 1);
  const platforms = [entry(1, { platform: "linux/amd64" }), entry(2, { platform: "linux/arm64" })];
  assert.deepEqual(choose(platforms).entries, platforms);
  assert.throws(() => choose([entry(1), entry(2)]), /several images/);
});

Deno.test("readEntries() refuses what is no index and leaves out what is no image", () => {
  assert.throws(() => readEntries([], "p"), /no list of manifests/);
  assert.throws(() => readEntries(null, "p"), /no list of manifests/);
  for (
    const change of [{ digest: "sha256:x" }, { size: -1 }, { size: "1" }, { mediaType: 1 }, { platform: {} }, {
      annotations: { a: 1 },
    }]
  ) {
    assert.throws(
      () => readEntries({ manifests: [{ ...entry(1), ...change }] }, "p"),
      /no descriptor: want mediaType, digest and size/,
    );
  }
  assert.deepEqual(readEntries({ manifests: [{ ...entry(1), mediaType: "application/x" }] }, "p"), []);
});
