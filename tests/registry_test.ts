import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Failure } from "../api/errors.ts";
import {
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  isIndexType,
  mediaTypes,
} from "../api/oci/image_spec.ts";
import { chooseManifest } from "../daemon/sources/platform.ts";
import { openSource, type SourceOptions } from "../daemon/sources/source.ts";
import {
  missingPrograms,
  type RegistryOptions,
  startRegistry,
  tarOf,
  type TestRegistry,
  writeLayout,
} from "./registry.ts";

const missing = missingPrograms("docker-registry", "skopeo", "openssl", "perl");
const skip = missing.length === 0 ? "" : ` (skipped: ${missing.join(", ")} not installed)`;
const signal = new AbortController().signal;
const limits = { retryDelayMs: 5 };

async function withRegistry(
  options: RegistryOptions,
  body: (registry: TestRegistry, layout: string) => Promise<void>,
): Promise<void> {
  await using registry = await startRegistry(options);
  const rootfs = `${registry.directory}/rootfs`;
  await Deno.mkdir(rootfs);
  // Random bytes, so that the compressed layer is not one piece of a few bytes.
  const noise = new Uint8Array(3_000_000);
  for (let at = 0; at < noise.length; at += 60_000) crypto.getRandomValues(noise.subarray(at, at + 60_000));
  await Deno.writeFile(`${rootfs}/noise`, noise);
  const layout = `${registry.directory}/layout`;
  await writeLayout(layout, [await tarOf(rootfs)], { architectures: ["amd64", "arm64"] });
  await body(registry, layout);
}

/** Reads every object of the image for amd64 and compares it with its digest; answers the types met. */
async function pull(reference: string, options: SourceOptions = {}): Promise<string[]> {
  await using source = await openSource(reference, { limits, dockerConfigDirectory: "/nonexistent", ...options });
  const types: string[] = [];
  const fetch = async (descriptor: Descriptor, offset = 0): Promise<Uint8Array> => {
    const bytes = await new Response(await source.open(descriptor, offset, signal)).bytes();
    assert.equal(bytes.length, descriptor.size - offset);
    if (offset > 0) return bytes;
    types.push(descriptor.mediaType);
    assert.equal(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, descriptor.digest);
    return bytes;
  };
  // The casts say what the media types promise; the content was made by the test itself.
  const json = async (descriptor: Descriptor) => JSON.parse(new TextDecoder().decode(await fetch(descriptor)));
  let root = await source.resolve(signal);
  if (isIndexType(root.mediaType)) {
    root = chooseManifest(await json(root) as ImageIndex, { os: "linux", architecture: "amd64" });
  }
  const manifest = await json(root) as ImageManifest;
  await fetch(manifest.config);
  for (const layer of manifest.layers) {
    const whole = await fetch(layer);
    const offset = Math.floor(layer.size / 3);
    assert.deepEqual(await fetch(layer, offset), whole.subarray(offset));
  }
  return types;
}

Deno.test({
  name: `a registry on loopback gives OCI and docker images by tag and digest without a flag${skip}`,
  ignore: missing.length > 0,
  fn: () =>
    withRegistry({}, async (registry, layout) => {
      const { host } = registry;
      await registry.push(`oci:${layout}`, "a/index:1", { all: true });
      assert.deepEqual((await pull(`${host}/a/index:1`)).slice(0, 3), [
        mediaTypes.ociIndex,
        mediaTypes.ociManifest,
        mediaTypes.ociConfig,
      ]);
      await registry.push(`oci:${layout}`, "b:oci", { format: "oci" });
      assert.equal((await pull(`${host}/b:oci`))[0], mediaTypes.ociManifest);
      await registry.push(`oci:${layout}`, "b:docker", { format: "v2s2" });
      const types = await pull(`${host}/b:docker`);
      assert.deepEqual(types, [mediaTypes.dockerManifest, mediaTypes.dockerConfig, mediaTypes.dockerLayerGzip]);

      await using source = await openSource(`${host}/b:oci`);
      assert.deepEqual(source.distribution, { host, repository: "b" });
      const { digest } = await source.resolve(signal);
      assert.equal((await pull(`${host}/b:none@${digest}`))[0], mediaTypes.ociManifest);
      await assert.rejects(
        pull(`${host}/b:nosuch`),
        failure("NotFound", /cannot pull .*\/b:nosuch: .* has no such image \(404.*check the name and the tag/),
      );
      await assert.rejects(pull(`${host}/none`), failure("NotFound", /no such image/));
      await assert.rejects(pull(`${host}/b@sha256:${"0".repeat(64)}`), failure("NotFound", /no such image/));
    }),
});

Deno.test({
  name: `a registry with basic authentication wants the login of docker's configuration or of the caller${skip}`,
  ignore: missing.length > 0,
  fn: () =>
    withRegistry({ login: { username: "bob", password: "sécret" } }, async (registry, layout) => {
      await registry.push(`oci:${layout}`, "app", { format: "oci" });
      const reference = `${registry.host}/app`;
      await assert.rejects(
        pull(reference),
        failure("Unauthenticated", /denies access \(401.*or needs a login: docker login 127/),
      );
      await pull(reference, { credentials: { username: "bob", password: "sécret" } });
      await assert.rejects(
        pull(reference, { credentials: { username: "bob", password: "wrong" } }),
        failure("Unauthenticated", /is not for user bob/),
      );
      const auth = new TextEncoder().encode("bob:sécret").toBase64();
      await Deno.writeTextFile(
        `${registry.directory}/config.json`,
        JSON.stringify({ auths: { [registry.host]: { auth } } }),
      );
      await pull(reference, { dockerConfigDirectory: registry.directory });
    }),
});

Deno.test({
  name: `a registry with TLS needs an authority that is trusted, by certs.d or SSL_CERT_FILE${skip}`,
  ignore: missing.length > 0,
  fn: () =>
    withRegistry({ tls: true }, async (registry, layout) => {
      await registry.push(`oci:${layout}`, "app", { format: "oci" });
      const reference = `${registry.host}/app`;
      await assert.rejects(
        pull(reference, { certificateDirectories: [] }),
        failure(
          "FailedPrecondition",
          /certificate of .* is not accepted: put its authority into \/etc\/docker\/certs.d\/127.*--plain-http/,
        ),
      );
      await pull(reference, { certificateDirectories: [registry.certificateDirectory] });
      await assert.rejects(
        pull(reference, { plainHttp: true }),
        failure("FailedPrecondition", /does not accept plain HTTP \(400\)/),
      );
      const before = Deno.env.get("SSL_CERT_FILE");
      Deno.env.set("SSL_CERT_FILE", `${registry.directory}/ca.crt`);
      try {
        await pull(reference, { certificateDirectories: [] });
      } finally {
        if (before === undefined) Deno.env.delete("SSL_CERT_FILE");
        else Deno.env.set("SSL_CERT_FILE", before);
      }
    }),
});

Deno.test({
  name: `archives that skopeo writes are read, of both kinds and compressed${skip}`,
  ignore: missing.length > 0,
  fn: async () => {
    const directory = await Deno.makeTempDir();
    try {
      await Deno.mkdir(`${directory}/rootfs`);
      await Deno.writeTextFile(`${directory}/rootfs/file`, "content");
      const layer = await tarOf(`${directory}/rootfs`);
      // The same layer twice: docker archives then have a link.
      await writeLayout(`${directory}/layout`, [layer, layer]);
      const copy = async (target: string) => {
        const args = ["--insecure-policy", "copy", "--quiet", `oci:${directory}/layout`, target];
        const { success, stderr } = await new Deno.Command("skopeo", { args }).output();
        assert(success, new TextDecoder().decode(stderr));
      };
      await copy(`docker-archive:${directory}/docker.tar:example.com/a/b:1`);
      await copy(`oci-archive:${directory}/oci.tar:2`);
      const { success } = await new Deno.Command("gzip", { args: ["-k", `${directory}/docker.tar`] }).output();
      assert(success);
      const docker = [
        mediaTypes.dockerManifest,
        mediaTypes.dockerConfig,
        mediaTypes.dockerLayer,
        mediaTypes.dockerLayer,
      ];
      assert.deepEqual(await pull(`tar:${directory}/docker.tar`), docker);
      assert.deepEqual(await pull(`tar:${directory}/docker.tar.gz:example.com/a/b:1`), docker);
      assert.equal((await pull(`tar:${directory}/oci.tar:2`))[0], mediaTypes.ociManifest);
      assert.equal((await pull(`oci:${directory}/layout:latest`))[0], mediaTypes.ociManifest);
      await using source = await openSource(`tar:${directory}/docker.tar`);
      assert.equal(source.name, "example.com/a/b:1");
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

function failure(code: string, pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof Failure, String(error));
    assert.match(error.message, pattern);
    assert.equal(error.code, code);
    return true;
  };
}
