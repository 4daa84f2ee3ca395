import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Failure } from "../../api/errors.ts";
import { viewImage } from "../../daemon/images/image_view.ts";
import { pull } from "../../daemon/images/pull.ts";
import { archive } from "../../daemon/diff/archive_fixture.ts";
import { hostPlatform } from "../../daemon/sources/platform.ts";
import { openSource } from "../../daemon/sources/source.ts";
import { openStore, type Store } from "../../daemon/store.ts";
import { parseRun } from "./flags.ts";
import { readHostFacts } from "./host_facts.ts";
import { buildSpec } from "./spec.ts";
import { resolveUser } from "./user.ts";
import { resolveEnvironment } from "./values/environment.ts";

const given = Deno.env.get("BARGE_FUZZ_SEED");
const seed = given === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : Number(given);

/** xorshift32: small, and the same everywhere for one seed. */
function generator(start: number): (below: number) => number {
  let state = start | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

type Random = ReturnType<typeof generator>;

const layer = archive({ name: "file", data: "x" });
const hashOf = (bytes: Uint8Array<ArrayBuffer>) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const oci = "application/vnd.oci.image";

/** What may stand in a document's place of something else. */
const strangers = [
  ...[null, true, 0, -1, 1.5, 1e300, 2 ** 53, "", "x", "sha256:", `sha256:${"0".repeat(64)}`, "\0", "\ud800", [], {}, [
    null,
  ]],
  ...[[[]], [{}], { "": "" }, { a: null }, { __proto__: null, constructor: 1 }, "a".repeat(70_000), ["", "\0", "="]],
  `${oci}.index.v1+json`,
  `${oci}.manifest.v1+json`,
] as const;

/** Puts strangers into some places of the value, takes fields away, or puts the whole deep into lists. */
function mutated(value: unknown, random: Random): unknown {
  const copy: unknown = structuredClone(value);
  const places: { holder: Record<string, unknown>; key: string }[] = [];
  const visit = (holder: unknown) => {
    if (typeof holder !== "object" || holder === null) return;
    for (const key of Object.keys(holder)) {
      places.push({ holder: holder as Record<string, unknown>, key });
      visit((holder as Record<string, unknown>)[key]);
    }
  };
  visit(copy);
  const place = places[random(places.length)];
  if (place === undefined || random(40) === 0) return strangers[random(strangers.length)];
  const { holder, key } = place;
  if (random(6) === 0) delete holder[key];
  else if (random(12) === 0) holder[`${key}x`] = holder[key];
  else holder[key] = strangers[random(strangers.length)];
  return copy;
}

/** JSON with some text that no writer would make, now and then. */
function jsonOf(value: unknown, random: Random): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify(value) ?? "";
  const depth = 200_000;
  const odd = [
    text.slice(0, random(text.length + 1)),
    `${"[".repeat(depth)}${"]".repeat(depth)}`,
    `\ufeff${text}`,
    `${text}${text}`,
  ];
  const deep = `{"annotations":${'{"a":'.repeat(depth)}1${"}".repeat(depth)},${text.slice(1)}`;
  const pick = random(60);
  return new TextEncoder().encode(odd[pick] ?? (pick === 4 ? deep : text));
}

/** Writes a layout or an archive of `docker save` with changed documents, whose digests are right all the same. */
function writeImage(dir: string, random: Random): string {
  const put = (bytes: Uint8Array<ArrayBuffer>, mediaType: string) => {
    const digest = hashOf(bytes);
    Deno.writeFileSync(`${dir}/blobs/sha256/${digest.slice(7)}`, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  Deno.mkdirSync(`${dir}/blobs/sha256`, { recursive: true });
  const victim = random(6);
  const change = (which: number, value: unknown) => {
    if (which !== victim) return new TextEncoder().encode(JSON.stringify(value));
    let changed = value;
    for (let times = 1 + random(3); times > 0; times--) changed = mutated(changed, random);
    return jsonOf(changed, random);
  };
  const { os, architecture } = hostPlatform();
  const config = put(
    change(0, {
      os,
      architecture,
      created: "2020-01-01T00:00:00Z",
      rootfs: { type: "layers", diff_ids: [hashOf(layer)] },
      history: [{ created: "2020-01-01T00:00:00Z", created_by: "x", empty_layer: false }],
      config: {
        User: "1:2",
        Env: ["PATH=/bin"],
        Entrypoint: ["/bin/sh"],
        Cmd: ["-c", "true"],
        WorkingDir: "/tmp",
        Volumes: { "/data": {} },
        StopSignal: "SIGTERM",
        Labels: { a: "b" },
        ExposedPorts: { "80/tcp": {} },
      },
    }),
    `${oci}.config.v1+json`,
  );
  const blob = put(layer, `${oci}.layer.v1.tar`);
  const manifest = {
    schemaVersion: 2,
    mediaType: `${oci}.manifest.v1+json`,
    config,
    layers: [blob],
    annotations: { a: "b" },
  };
  const inner = put(change(1, manifest), manifest.mediaType);
  const platform = { os, architecture, "os.features": [], variant: "" };
  const index = {
    schemaVersion: 2,
    mediaType: `${oci}.index.v1+json`,
    manifests: [{ ...inner, platform, annotations: {} }],
  };
  const outer = put(change(2, index), index.mediaType);
  const annotations = { "org.opencontainers.image.ref.name": "latest" };
  Deno.writeFileSync(`${dir}/index.json`, change(3, { schemaVersion: 2, manifests: [{ ...outer, annotations }] }));
  Deno.writeFileSync(`${dir}/oci-layout`, change(4, { imageLayoutVersion: "1.0.0" }));
  if (victim !== 5) return `oci:${dir}`;
  const docker = [{ Config: "config.json", RepoTags: ["a/b:c"], Layers: ["layer.tar"] }];
  const configText = {
    os,
    architecture,
    rootfs: { type: "layers", diff_ids: [hashOf(layer)] },
    config: { Cmd: ["x"] },
  };
  Deno.writeFileSync(
    `${dir}/save.tar`,
    archive(
      {
        name: "manifest.json",
        data: random(2) === 0 ? change(5, docker) : new TextEncoder().encode(JSON.stringify(docker)),
      },
      { name: "config.json", data: change(5, configText) },
      { name: "layer.tar", data: layer },
    ),
  );
  return `tar:${dir}/save.tar`;
}

async function runImage(store: Store, reference: string, scratch: string): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  const platform = hostPlatform();
  await using source = await openSource(reference, { signal });
  await pull(store, source, { platform, snapshotter: "native", signal });
  const view = await viewImage(store, source.name, { platform, snapshotter: "native" });
  const command = parseRun([reference]);
  if (command === "help") throw new Error("help");
  const image = view?.config.config ?? {};
  buildSpec({
    id: "0123456789abcdef",
    command,
    image,
    user: resolveUser(image.User ?? "", { passwd: "", group: "" }),
    environment: resolveEnvironment([], [], () => undefined),
    workingDirectory: "/",
    host: readHostFacts(command),
    rootPath: "rootfs",
    filesDirectory: scratch,
  });
}

Deno.test({
  name: `a pull and the spec of changed images say in words what is wrong (needs root; BARGE_FUZZ_SEED=${seed})`,
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const random = generator(seed);
    const dir = await Deno.makeTempDir({ prefix: "barge-image-fuzz-" });
    const codes = new Map<string, number>();
    try {
      using store = await openStore(`${dir}/root`);
      for (let round = 0; round < 1_000; round++) {
        const reference = writeImage(`${dir}/image`, random);
        let code = "ok";
        try {
          await runImage(store, reference, dir);
        } catch (error) {
          code = error instanceof Failure ? error.code : "internal";
          if (["internal", "Internal", "Unknown"].includes(code)) {
            throw new Error(`seed ${seed}, round ${round}, ${reference}: ${error}`, { cause: error });
          }
        }
        codes.set(code, (codes.get(code) ?? 0) + 1);
        await Deno.remove(`${dir}/image`, { recursive: true });
      }
      assert.ok((codes.get("ok") ?? 0) > 50 && (codes.get("InvalidArgument") ?? 0) > 50, JSON.stringify([...codes]));
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
