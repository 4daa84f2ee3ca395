import assert from "node:assert/strict";
import {
  type Descriptor,
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
  mediaTypes,
} from "../../api/oci/image_spec.ts";
import { helloElf } from "../../ffi/elf/hello.ts";
import { needing } from "../../tests/peers.ts";
import { digestOf } from "./digest_of.ts";
import { helloSource } from "./hello.ts";
import type { ImageSource } from "./source.ts";

const { signal } = new AbortController();

async function bytesOf(source: ImageSource, descriptor: Descriptor, offset = 0): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(await source.open(descriptor, offset, signal)).arrayBuffer());
}

/** A JSON blob, as the type that its descriptor says it has. */
async function jsonOf<T>(source: ImageSource, descriptor: Descriptor): Promise<T> {
  return JSON.parse(new TextDecoder().decode(await bytesOf(source, descriptor)));
}

Deno.test("helloSource() has an index with a manifest for each architecture, all digests and sizes right", async () => {
  await using source = await helloSource("example.com/hello:1");
  assert.equal(source.name, "example.com/hello:1");
  const root = await source.resolve(signal);
  assert.equal(root.mediaType, mediaTypes.ociIndex);
  const check = async (descriptor: Descriptor): Promise<void> => {
    const bytes = await bytesOf(source, descriptor);
    assert.equal(bytes.length, descriptor.size);
    assert.equal(await digestOf(bytes), descriptor.digest);
  };
  await check(root);
  const index = await jsonOf<ImageIndex>(source, root);
  assert.deepEqual(index.manifests.map(({ platform }) => platform?.architecture), ["amd64", "arm64"]);
  for (const descriptor of index.manifests) {
    await check(descriptor);
    const manifest = await jsonOf<ImageManifest>(source, descriptor);
    await check(manifest.config);
    for (const layer of manifest.layers) await check(layer);
    const config = await jsonOf<ImageConfig>(source, manifest.config);
    assert.deepEqual(config.rootfs.diff_ids, manifest.layers.map(({ digest }) => digest));
    assert.equal(config.architecture, descriptor.platform?.architecture);
    assert.deepEqual(config.config?.Entrypoint, ["/hello"]);
  }
});

Deno.test("helloSource() gives the same image every time, from any offset", async () => {
  await using first = await helloSource("a");
  await using second = await helloSource("b");
  const root = await first.resolve(signal);
  assert.deepEqual(await second.resolve(signal), root);
  const whole = await bytesOf(first, root);
  assert.deepEqual(await bytesOf(second, root, 10), whole.slice(10));
  assert.equal((await bytesOf(second, root, root.size)).length, 0);
});

Deno.test("helloSource() knows no other blob", async () => {
  await using source = await helloSource("a");
  const root = await source.resolve(signal);
  const other = { ...root, digest: await digestOf(new Uint8Array()) };
  await assert.rejects(async () => await source.open(other, 0, signal), { code: "NotFound" });
});

Deno.test({
  ...needing("helloSource()'s layer is what tar reads", { peers: ["tar"] }),
  async fn() {
    await using source = await helloSource("a");
    const index = await jsonOf<ImageIndex>(source, await source.resolve(signal));
    const manifest = await jsonOf<ImageManifest>(source, index.manifests[0]!);
    const directory = await Deno.makeTempDir();
    try {
      await Deno.writeFile(`${directory}/layer.tar`, await bytesOf(source, manifest.layers[0]!));
      const tar = async (...args: string[]) => {
        const { success, stdout } = await new Deno.Command("tar", { args, cwd: directory, stderr: "inherit" }).output();
        assert.ok(success);
        return new TextDecoder().decode(stdout);
      };
      const list = await tar("--list", "--verbose", "--numeric-owner", "--utc", "--file", "layer.tar");
      const lines = list.trimEnd().split("\n").map((line) => line.split(/\s+/));
      assert.deepEqual(lines.map(([mode, owner, , date, , path]) => [mode, owner, date, path]), [
        ["drwxr-xr-x", "0/0", "1970-01-01", "etc/"],
        ["-rw-r--r--", "0/0", "1970-01-01", "etc/passwd"],
        ["-rw-r--r--", "0/0", "1970-01-01", "etc/group"],
        ["-rwxr-xr-x", "0/0", "1970-01-01", "hello"],
        ["drwxrwxrwt", "0/0", "1970-01-01", "tmp/"],
      ]);
      await tar("--extract", "--file", "layer.tar", "hello");
      assert.deepEqual(await Deno.readFile(`${directory}/hello`), helloElf("x86_64"));
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
