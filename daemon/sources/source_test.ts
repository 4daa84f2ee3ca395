import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Failure } from "../../api/errors.ts";
import { type Descriptor, type ImageManifest, isIndexType, mediaTypes } from "../../api/oci/image_spec.ts";
import { openSource } from "./source.ts";

const signal = new AbortController().signal;
const config = JSON.stringify({
  os: "linux",
  architecture: "amd64",
  rootfs: { type: "layers", diff_ids: [] as string[] },
});

/** A directory for one test, removed at its end. */
async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

async function run(program: string, args: string[], cwd: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, cwd }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** Writes a layout with one image of one layer; answers the layer's text. */
async function writeLayout(directory: string, ref?: string): Promise<string> {
  const layer = "layer ".repeat(100_000);
  await Deno.mkdir(`${directory}/blobs/sha256`, { recursive: true });
  const put = async (mediaType: string, text: string) => {
    await Deno.writeTextFile(`${directory}/blobs/sha256/${sha256(text)}`, text);
    return { mediaType, digest: `sha256:${sha256(text)}`, size: text.length };
  };
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: await put(mediaTypes.ociConfig, config),
    layers: [await put(mediaTypes.ociLayer, layer)],
  });
  const root = await put(mediaTypes.ociManifest, manifest);
  const annotations = ref === undefined ? {} : { annotations: { "org.opencontainers.image.ref.name": ref } };
  await Deno.writeTextFile(
    `${directory}/index.json`,
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...root, ...annotations }] }),
  );
  await Deno.writeTextFile(`${directory}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
  return layer;
}

async function read(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream).text();
}

/** The layer of an image, read through its source, whole and from an offset; every digest is checked. */
async function readImage(reference: string): Promise<{ name: string; layer: string; manifest: ImageManifest }> {
  await using source = await openSource(reference);
  const bytes = async (descriptor: Descriptor) => {
    const text = await read(await source.open(descriptor, 0, signal));
    assert.equal(`sha256:${sha256(text)}`, descriptor.digest);
    assert.equal(text.length, descriptor.size);
    return text;
  };
  let root = await source.resolve(signal);
  if (isIndexType(root.mediaType)) root = JSON.parse(await bytes(root)).manifests[0];
  const manifest: ImageManifest = JSON.parse(await bytes(root));
  await bytes(manifest.config);
  const [descriptor] = manifest.layers;
  assert(descriptor !== undefined);
  const layer = await bytes(descriptor);
  assert.equal(await read(await source.open(descriptor, layer.length - 7, signal)), layer.slice(-7));
  assert.equal(await read(await source.open(descriptor, layer.length, signal)), "");
  return { name: source.name, layer, manifest };
}

Deno.test("openSource(oci:) reads an OCI layout directory", () =>
  inDirectory(async (directory) => {
    const layer = await writeLayout(`${directory}/my:dir`, "v1");
    const image = await readImage(`oci:${directory}/my:dir`);
    assert.equal(image.layer, layer);
    assert.equal(image.name, "localhost/my-dir:v1");
    assert.equal((await readImage(`oci:${directory}/my:dir:v1`)).layer, layer);
    await assert.rejects(openSource(`oci:${directory}/my:dir:v2`), /holds no image "v2": it has v1/);
    await assert.rejects(openSource(`oci:${directory}/none:v1`), /there is no directory ".*\/none"/);
    await assert.rejects(openSource(`oci:${directory}`), /no file oci-layout/);
    await assert.rejects(openSource("oci:"), /names no place/);
  }));

Deno.test("openSource(oci:) tells about a missing and a wrong blob", () =>
  inDirectory(async (directory) => {
    await writeLayout(directory);
    await using source = await openSource(`oci:${directory}`);
    const root = await source.resolve(signal);
    const blob = `${directory}/blobs/sha256/${root.digest.slice(7)}`;
    await Deno.writeTextFile(blob, "short");
    await assert.rejects(source.open(root, 0, signal), /has 5 bytes, its descriptor says/);
    await Deno.remove(blob);
    await assert.rejects(
      source.open(root, 0, signal),
      (error) => error instanceof Failure && error.code === "NotFound",
    );
  }));

Deno.test("openSource(oci:) joins the platforms of one image by an index", () =>
  inDirectory(async (directory) => {
    await writeLayout(directory);
    const index = JSON.parse(await Deno.readTextFile(`${directory}/index.json`));
    const amd64 = { ...index.manifests[0], platform: { os: "linux", architecture: "amd64" } };
    const other = { ...amd64, digest: `sha256:${"0".repeat(64)}`, platform: { os: "linux", architecture: "s390x" } };
    await Deno.writeTextFile(`${directory}/index.json`, JSON.stringify({ ...index, manifests: [amd64, other] }));
    assert.equal((await readImage(`oci:${directory}`)).layer.length, 600_000);
  }));

Deno.test("openSource(tar:) reads OCI archives, plain and compressed", () =>
  inDirectory(async (directory) => {
    const layer = await writeLayout(`${directory}/layout`, "docker.io/library/x:1");
    await Deno.writeTextFile(`${directory}/layout/manifest.json`, "OCI wins, so this is never read");
    await run("tar", ["-C", "layout", "-cf", "a.tar", "."], directory);
    const plain = await Deno.readFile(`${directory}/a.tar`);
    const zlib = await import("node:zlib");
    await Deno.writeFile(`${directory}/a.tar.gz`, zlib.gzipSync(plain));
    await Deno.writeFile(`${directory}/a.tar.zst`, zlib.zstdCompressSync(plain));
    for (const file of ["a.tar", "a.tar.gz", "a.tar.zst", "a.tar.gz:1", "a.tar:x:1"]) {
      const image = await readImage(`tar:${directory}/${file}`);
      assert.equal(image.layer, layer, file);
      assert.equal(image.name, "docker.io/library/x:1");
    }
  }));

Deno.test("openSource(tar:) leaves no file behind and tells what is wrong with an archive", () =>
  inDirectory(async (directory) => {
    await writeLayout(`${directory}/layout`);
    await run("tar", ["-C", "layout", "-czf", "a.tgz", "."], directory);
    const temporary = `${directory}/temporary`;
    await Deno.mkdir(temporary);
    const whole = await Deno.readFile(`${directory}/a.tgz`);
    await Deno.writeFile(`${directory}/cut.tgz`, whole.subarray(0, whole.length / 2));
    await Deno.writeTextFile(`${directory}/text`, "x".repeat(5000));
    await Deno.writeTextFile(`${directory}/x.xz`, "\xfd7zXZ");
    await Deno.writeFile(`${directory}/x.xz`, new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]));
    await run("tar", ["-cf", "plain.tar", "text"], directory);
    const fails = (file: string, pattern: RegExp) =>
      assert.rejects(openSource(`tar:${directory}/${file}`, { temporaryDirectory: temporary }), pattern);
    await fails("cut.tgz", /cannot unpack archive/);
    await fails("text", /is not a tar archive/);
    await fails("x.xz", /compressed by xz/);
    await fails("plain.tar", /unrecognized image format/);
    await fails("none.tar", /there is no regular file/);
    await fails("layout", /is not a regular file/);
    await using _ = await openSource(`tar:${directory}/a.tgz`, { temporaryDirectory: temporary });
    assert.deepEqual([...Deno.readDirSync(temporary)], []);
  }));

/** Writes what `docker save` of old wrote: two images that share a layer by a symbolic link. */
async function writeDockerSave(directory: string): Promise<void> {
  const layer = "old layer ".repeat(1000);
  const text = JSON.stringify({
    os: "linux",
    architecture: "amd64",
    rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
  });
  await Deno.mkdir(`${directory}/one`, { recursive: true });
  await Deno.mkdir(`${directory}/two`);
  await Deno.writeTextFile(`${directory}/one/layer.tar`, layer);
  await Deno.symlink("../one/layer.tar", `${directory}/two/layer.tar`);
  await Deno.writeTextFile(`${directory}/c.json`, text);
  await Deno.writeTextFile(
    `${directory}/manifest.json`,
    JSON.stringify([
      { Config: "c.json", RepoTags: ["busybox:1", "busybox:one"], Layers: ["one/layer.tar"] },
      { Config: "c.json", RepoTags: ["busybox:2"], Layers: ["two/layer.tar"] },
      { Config: "gone.json", RepoTags: ["gone:1"], Layers: [] },
      { Config: "c.json", RepoTags: ["few:1"], Layers: [] },
      { Config: "c.json", RepoTags: ["lost:1"], Layers: ["lost/layer.tar"] },
    ]),
  );
}

Deno.test("openSource(tar:) reads docker-save archives", () =>
  inDirectory(async (directory) => {
    await writeDockerSave(`${directory}/save`);
    await run("tar", ["-C", "save", "-cf", "d.tar", "."], directory);
    for (const name of ["busybox:1", "busybox:one", "busybox:2", "docker.io/library/busybox:2"]) {
      const image = await readImage(`tar:${directory}/d.tar:${name}`);
      assert.equal(image.name, `docker.io/library/${name.replace(/.*\//, "")}`);
      assert.equal(image.layer, "old layer ".repeat(1000));
      assert.equal(image.manifest.layers[0]?.mediaType, mediaTypes.dockerLayer);
    }
    const resolved = async (name: string) => {
      await using source = await openSource(`tar:${directory}/d.tar:${name}`);
      return await source.resolve(signal);
    };
    await assert.rejects(resolved("gone:1"), /image config "gone.json" not found/);
    await assert.rejects(resolved("few:1"), /lists 1 layers, manifest.json 0/);
    await assert.rejects(resolved("lost:1"), /layer "lost\/layer.tar" not found/);
    await assert.rejects(resolved("none:1"), /holds no image "none:1": it has docker.io\/library\/busybox:1/);
    await assert.rejects(openSource(`tar:${directory}/d.tar`), /holds 5 images .* add :NAME/);
  }));

Deno.test("openSource(tar:) hashes compressed layers of docker-save archives", () =>
  inDirectory(async (directory) => {
    await writeDockerSave(`${directory}/save`);
    const { gzipSync } = await import("node:zlib");
    const layer = gzipSync("old layer ".repeat(1000));
    await Deno.writeFile(`${directory}/save/one/layer.tar`, layer);
    await run("tar", ["-C", "save", "-cf", "d.tar", "."], directory);
    await using source = await openSource(`tar:${directory}/d.tar:busybox:1`);
    const manifest: ImageManifest = JSON.parse(await read(await source.open(await source.resolve(signal), 0, signal)));
    assert.deepEqual(manifest.layers, [{
      mediaType: mediaTypes.dockerLayerGzip,
      digest: `sha256:${sha256(layer)}`,
      size: layer.length,
    }]);
  }));
