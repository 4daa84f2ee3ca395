import assert from "node:assert/strict";
import type { Digest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import { type Descriptor, type ImageIndex, mediaTypes, type Platform } from "../../api/oci/image_spec.ts";
import {
  chooseManifest,
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
  runnablePlatforms,
  runsOn,
} from "./platform.ts";

Deno.test("parsePlatform() reads text as containerd does", () => {
  const host = formatPlatform(hostPlatform());
  const texts: Record<string, string> = {
    linux: host,
    "linux/arm64": "linux/arm64",
    "linux/arm64/v8": "linux/arm64/v8",
    "linux/x86_64": "linux/amd64",
    aarch64: "linux/arm64",
    arm: "linux/arm",
    "linux/arm": "linux/arm",
    "linux/arm/v7": "linux/arm/v7",
    armel: "linux/arm/v6",
    "linux/armhf": "linux/arm",
    "linux/i386": "linux/386",
    "Linux/AMD64/v1": "linux/amd64",
    "macos/arm64": "darwin/arm64",
    "plan10/q": "plan10/q",
    "windows(10.0.17763)/amd64": "windows/amd64",
  };
  for (const [text, platform] of Object.entries(texts)) {
    assert.equal(formatPlatform(parsePlatform(text)), platform, text);
  }
  assert.equal(parsePlatform("windows(10.0.17763+win32k)/amd64")["os.version"], "10.0.17763");
  assert.deepEqual(parsePlatform("windows(10.0.17763+win32k)/amd64")["os.features"], ["win32k"]);
});

Deno.test("parsePlatform() refuses what is no platform", () => {
  for (const text of ["", "*", "linux/*", "a/b/c/d", "nonsense", "linux/", "linux//v7", "linux/am d64", "/"]) {
    assert.throws(
      () => parsePlatform(text),
      (error) => error instanceof Failure && error.code === "InvalidArgument",
      text,
    );
  }
});

Deno.test("runnablePlatforms() lists older levels of the architecture, best first", () => {
  const texts = (platform: Platform) => runnablePlatforms(platform).map(formatPlatform).map((text) => text.slice(6));
  const linux = (architecture: string, variant = "") => normalizePlatform({ os: "linux", architecture, variant });
  assert.deepEqual(texts(linux("amd64")), ["amd64", "386"]);
  assert.deepEqual(texts(linux("amd64", "v3")), ["amd64/v3", "amd64/v2", "amd64", "386"]);
  assert.deepEqual(texts(linux("arm")), ["arm/v7", "arm/v6", "arm/v5"]);
  assert.deepEqual(texts(linux("arm64")), ["arm64", "arm/v8", "arm/v7", "arm/v6", "arm/v5"]);
  assert.deepEqual(texts(linux("arm64", "v8.2")).slice(0, 4), ["arm64/v8.2", "arm64/v8.1", "arm64", "arm/v8"]);
  assert.deepEqual(
    texts(linux("arm64", "v9.1")).slice(0, 9),
    [
      "arm64/v9.1",
      "arm64/v9",
      "arm64/v8.6",
      "arm64/v8.5",
      "arm64/v8.4",
      "arm64/v8.3",
      "arm64/v8.2",
      "arm64/v8.1",
      "arm64",
    ],
  );
  assert.deepEqual(texts(linux("riscv64")), ["riscv64"]);
});

function entry(number: number, platform?: string, more: Partial<Descriptor> = {}): Descriptor {
  const [os = "", architecture = "", variant] = (platform ?? "").split("/");
  return {
    mediaType: mediaTypes.ociManifest,
    digest: `sha256:${String(number).padStart(64, "0")}` as Digest,
    size: 1,
    ...(platform === undefined
      ? {}
      : { platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } }),
    ...more,
  };
}

function index(...manifests: Descriptor[]): ImageIndex {
  return { schemaVersion: 2, manifests };
}

const amd64 = { os: "linux", architecture: "amd64" };

Deno.test("chooseManifest() takes the best platform, of equals the first", () => {
  const entries = [entry(1, "linux/386"), entry(2, "linux/arm64"), entry(3, "linux/x86_64"), entry(4, "linux/amd64")];
  assert.equal(chooseManifest(index(...entries), amd64), entries[2]);
  assert.equal(chooseManifest(index(...entries), { os: "linux", architecture: "arm64", variant: "v8" }), entries[1]);
  assert.equal(chooseManifest(index(entry(1, "linux/386"), entry(2, "linux/arm64")), amd64).digest, entry(1).digest);
});

Deno.test("chooseManifest() takes an entry without platform as the last resort only", () => {
  const bare = entry(1);
  assert.equal(chooseManifest(index(bare, entry(2, "linux/386")), amd64).digest, entry(2).digest);
  assert.equal(chooseManifest(index(entry(2, "linux/s390x"), bare), amd64), bare);
});

Deno.test("chooseManifest() never takes attestations and lists what there is", () => {
  const attestation = { annotations: { "vnd.docker.reference.type": "attestation-manifest" } };
  const entries = [
    entry(1, "unknown/unknown"),
    entry(2, undefined, attestation),
    entry(3, "linux/s390x"),
    entry(4, "linux/arm/v7"),
  ];
  assert.throws(
    () => chooseManifest(index(...entries), amd64, "docker.io/library/x:latest"),
    (error) =>
      error instanceof Failure && error.code === "NotFound" &&
      error.message === "docker.io/library/x:latest has no image for linux/amd64: it offers linux/arm/v7, linux/s390x",
  );
  assert.throws(() => chooseManifest(index(), amd64), /its index lists none/);
});

Deno.test("runsOn() wants every feature that the image needs", () => {
  assert.equal(runsOn({ ...amd64, "os.features": ["x"] }, amd64), false);
  assert.equal(runsOn({ ...amd64, "os.features": ["x"] }, { ...amd64, "os.features": ["x", "y"] }), true);
});
