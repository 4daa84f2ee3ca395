import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { createHash } from "node:crypto";
import { gunzipSync, gzipSync, zstdDecompressSync } from "node:zlib";
import { type Digest, parseDigest } from "../../api/digest.ts";
import { isFailure } from "../../api/errors.ts";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { ApplyRequest, DiffDefinition, DiffRequest } from "../../api/gen/services/diff/v1/diff.ts";
import type { ClientOf } from "../../api/rpc/definition.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import { archive, type FixtureEntry } from "../diff/archive_fixture.ts";
import { Differ } from "../diff/differ.ts";
import type { StreamProcessor } from "../diff/stream_processor.ts";
import { openStores, type Stores } from "../store.ts";
import { DiffService } from "./diff.ts";

const layer = "application/vnd.oci.image.layer.v1.tar";
const signal = AbortSignal.timeout(60_000);
const root = Deno.uid() === 0;
/** A test of what needs the right to mount. */
const mounting = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: root ? name : `${name} (skipped: not root)`, ignore: !root, fn });

function digestOf(bytes: Uint8Array): Digest {
  return parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
}

interface Fixture {
  dir: string;
  stores: Stores;
  client: ClientOf<typeof DiffDefinition>;
  events: string[];
  /** Stores a blob and gives its descriptor. */
  put(bytes: Uint8Array, mediaType?: string): Promise<{ mediaType: string; digest: Digest; size: number }>;
  make(...names: string[]): void;
}

async function withService(body: (fixture: Fixture) => Promise<void>, processors: StreamProcessor[] = []) {
  const dir = await Deno.makeTempDir({ prefix: "barge-diff-" });
  try {
    using stores = await openStores(`${dir}/root`);
    using differ = new Differ({ mountDirectory: `${dir}/root/tmpmounts`, processors });
    const events: string[] = [];
    const publisher = { publish: (namespace: string, topic: string) => void events.push(`${namespace} ${topic}`) };
    const service = new DiffService({ stores, events: publisher, differ });
    const { content } = stores.of("ns");
    await body({
      dir,
      stores,
      events,
      client: inProcess(DiffDefinition, service, { "containerd-namespace": "ns" }),
      put: async (bytes, mediaType = layer) => {
        await content.put(`put-${digestOf(bytes)}`, bytes, { signal });
        return { mediaType, digest: digestOf(bytes), size: bytes.length };
      },
      make: (...names) => names.forEach((name) => Deno.mkdirSync(`${dir}/${name}`, { recursive: true })),
    });
    const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n").filter((line) => line.includes(dir));
    deepEqual(mounts, [], "nothing stays mounted");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const ingests = (dir: string) => [...Deno.readDirSync(`${dir}/root/io.containerd.content.v1.content/ingest`)].length;
const entries: FixtureEntry[] = [
  { name: "d/", type: "5", mode: 0o755 },
  { name: "d/f", data: "hello", mode: 0o640 },
  { name: "d/link", type: "1", link: "d/f" },
  { name: "s", type: "2", link: "d/f" },
];
const bind = (source: string, ...options: string[]) => ({ type: "bind", source, options: ["rbind", ...options] });

Deno.test("DiffService.apply() looks for the blob before the media type, in containerd's words", () =>
  withService(async ({ client, put }) => {
    const digest = `sha256:${"0".repeat(64)}`;
    const missing = ApplyRequest.fromPartial({ diff: { digest, mediaType: "x/y" } });
    await rejects(
      client.apply(missing),
      (error) =>
        isFailure(error, "NotFound") &&
        error.message === `failed to get reader from content store: content digest ${digest}`,
    );
    const unknown = ApplyRequest.fromPartial({ diff: await put(archive(...entries), "x/y"), mounts: [bind("/x")] });
    await rejects(
      client.apply(unknown),
      (error) =>
        isFailure(error, "Unknown") &&
        error.message === "failed to get stream processor for x/y: no processor for media-type",
    );
  }));

mounting(
  "DiffService.apply() fills a bind mount and answers with the archive",
  () =>
    withService(async ({ client, put, dir, make }) => {
      make("target");
      Deno.writeTextFileSync(`${dir}/target/old`, "");
      const tar = archive(...entries, { name: ".wh.old" });
      const diff = await put(gzipSync(tar), `${layer}+gzip`);
      const { applied } = await client.apply(
        ApplyRequest.fromPartial({ diff, mounts: [bind(`${dir}/target`, "rw")], syncFs: true }),
      );
      deepEqual(applied, { mediaType: layer, digest: digestOf(tar), size: tar.length, annotations: {} });
      equal(Deno.readTextFileSync(`${dir}/target/d/link`), "hello");
      deepEqual([...Deno.readDirSync(`${dir}/target`)].map(({ name }) => name).sort(), ["d", "s"]);
    }),
);

mounting(
  "DiffService.apply() tells where it had mounted what it could not write to",
  () =>
    withService(async ({ client, put, dir, make }) => {
      make("target");
      const diff = await put(archive(...entries));
      const readOnly = ApplyRequest.fromPartial({ diff, mounts: [bind(`${dir}/target`, "ro")] });
      await rejects(client.apply(readOnly), /^Failure: mount callback failed on .*\/tmpmounts\/apply: .*read-only/);
      const missing = ApplyRequest.fromPartial({ diff, mounts: [bind(`${dir}/none`, "rw")] });
      await rejects(client.apply(missing), /^Failure: failed to mount .*\/none.*no such file or directory/);
      const mapped = ApplyRequest.fromPartial({ diff, mounts: [bind(`${dir}/target`, "uidmap=0:1:2")] });
      await rejects(client.apply(mapped), (error) => isFailure(error, "NotImplemented"));
      const hostile = await put(archive({ name: "../../../../escaped", data: "x" }));
      await client.apply(ApplyRequest.fromPartial({ diff: hostile, mounts: [bind(`${dir}/target`, "rw")] }));
      equal(Deno.readTextFileSync(`${dir}/target/escaped`), "x");
    }),
);

mounting(
  "DiffService.apply() keeps whiteouts in an overlay's upper directory, and mounts several mounts",
  () =>
    withService(async ({ client, put, dir, make }) => {
      make("lower/d", "upper", "work", "second/below");
      Deno.chmodSync(`${dir}/lower/d`, 0o711);
      const overlay = {
        type: "overlay",
        source: "overlay",
        options: [`workdir=${dir}/work`, `upperdir=${dir}/upper`, `lowerdir=${dir}/lower`],
      };
      const diff = await put(archive({ name: "d/f", data: "x" }, { name: ".wh.gone" }));
      await client.apply(ApplyRequest.fromPartial({ diff, mounts: [overlay] }));
      ok(Deno.lstatSync(`${dir}/upper/gone`).isCharDevice);
      equal(Deno.statSync(`${dir}/upper/d`).mode! & 0o777, 0o711, "as the lower layer has it");
      const both = [overlay, { ...bind(`${dir}/second`, "rw"), target: "/d" }];
      const deep = await put(archive({ name: "d/below/f", data: "y" }));
      await client.apply(ApplyRequest.fromPartial({ diff: deep, mounts: both }));
      equal(Deno.readTextFileSync(`${dir}/second/below/f`), "y");
    }),
);

mounting(
  "DiffService.apply() ends with its caller's patience",
  () =>
    withService(async ({ client, put, dir, make }) => {
      make("target");
      const diff = await put(archive({ name: "f", data: new Uint8Array(64 << 20) }));
      const request = ApplyRequest.fromPartial({ diff, mounts: [bind(`${dir}/target`, "rw")] });
      await rejects(client.apply(request, { timeoutMs: 5 }), { name: "TimeoutError" });
      await client.apply(request);
      equal(Deno.statSync(`${dir}/target/f`).size, 64 << 20, "the thread goes on");
    }),
);

const shell = (id: string, script: string, accepts: string, returns: string): StreamProcessor => ({
  id,
  path: "sh",
  args: ["-c", script],
  accepts: [accepts],
  returns,
  env: ["PART=3"],
});

mounting(
  "DiffService.apply() sends layers through configured programs with their payload on descriptor 3",
  async () => {
    const seen = await Deno.makeTempDir();
    try {
      const script = `cat <&3 >${seen}/payload; echo "$STREAM_PROCESSOR_MEDIATYPE $PART" >${seen}/env; gzip -d`;
      const processors = [
        shell("unseal", script, "x/sealed", "x/open"),
        shell("open", "cat", "x/open", `${layer}+gzip`),
      ];
      await withService(async ({ client, put, dir, make }) => {
        make("target");
        const tar = archive(...entries);
        const diff = await put(gzipSync(gzipSync(tar)), "x/sealed");
        const payload = { typeUrl: "t", value: new Uint8Array([7]) };
        const mounts = [bind(`${dir}/target`, "rw")];
        const { applied } = await client.apply(
          ApplyRequest.fromPartial({ diff, mounts, payloads: { unseal: payload } }),
        );
        equal(applied?.digest, digestOf(tar));
        deepEqual(Any.decode(Deno.readFileSync(`${seen}/payload`)), payload);
        equal(Deno.readTextFileSync(`${seen}/env`), "x/sealed 3\n");
        equal(Deno.readTextFileSync(`${dir}/target/d/f`), "hello");
      }, processors);
    } finally {
      await Deno.remove(seen, { recursive: true });
    }
  },
);

mounting(
  "DiffService.apply() tells what a program said that failed, and ends one that hangs",
  () =>
    withService(async ({ client, put, dir, make }) => {
      make("target");
      const apply = async (mediaType: string, timeoutMs = 30_000) => {
        const diff = await put(archive(...entries), mediaType);
        await client.apply(ApplyRequest.fromPartial({ diff, mounts: [bind(`${dir}/target`, "rw")] }), { timeoutMs });
      };
      await rejects(apply("x/fails"), /stream processor "fails" failed: exit status 3: no key/);
      await rejects(apply("x/none"), /stream processor "none" failed: .*ENOENT/);
      await rejects(apply("x/hangs", 300), { name: "TimeoutError" });
      await rejects(apply("x/loops"), /no processor for media-type/);
    }, [
      shell("fails", "cat; echo no key >&2; exit 3", "x/fails", layer),
      { ...shell("none", "", "x/none", layer), path: "/nowhere/program" },
      shell("hangs", "exec sleep 60", "x/hangs", layer),
      shell("loops", "cat", "x/loops", "x/loops"),
    ]),
);

Deno.test("DiffService.diff() stores a layer that applies to the same tree, in each packing", () =>
  withService(async ({ client, dir, make, stores, events }) => {
    make("lower", "upper/d");
    Deno.writeTextFileSync(`${dir}/upper/d/f`, "hello");
    Deno.writeTextFileSync(`${dir}/lower/gone`, "");
    const { content } = stores.of("ns");
    const request = { left: [bind(`${dir}/lower`, "ro")], right: [bind(`${dir}/upper`, "rw")], labels: { a: "b" } };
    const diffIds = new Set<string>();
    for (const [suffix, unpack] of [["", null], ["+gzip", gunzipSync], ["+zstd", zstdDecompressSync]] as const) {
      const mediaType = suffix === "+gzip" ? "" : layer + suffix;
      const { diff } = await client.diff(DiffRequest.fromPartial({ ...request, mediaType }));
      equal(diff?.mediaType, layer + suffix);
      const digest = parseDigest(diff.digest);
      const bytes = await content.read(digest);
      equal(bytes.length, diff.size);
      const diffId = digestOf(unpack === null ? bytes : unpack(bytes));
      diffIds.add(diffId);
      const { labels } = await content.info(digest);
      const uncompressed = suffix === "" ? {} : { "containerd.io/uncompressed": diffId };
      deepEqual(labels, { a: "b", ...uncompressed });
    }
    equal(diffIds.size, 1, "one archive in three packings");
    deepEqual(events, Array(3).fill("ns /content/create"));
    await client.diff(DiffRequest.fromPartial({ ...request, mediaType: layer }));
    equal(events.length, 3, "what exists is not announced again");
    equal(ingests(dir), 0);
  }));

Deno.test("DiffService.diff() refuses other types, and keeps only a named ref after a failure", () =>
  withService(async ({ client, dir, make }) => {
    const unknown = DiffRequest.fromPartial({ mediaType: "application/vnd.docker.image.rootfs.diff.tar" });
    await rejects(
      client.diff(unknown),
      (error) =>
        isFailure(error, "NotImplemented") &&
        error.message === "unsupported diff media type: application/vnd.docker.image.rootfs.diff.tar",
    );
    const broken = { left: [], right: [bind(`${dir}/none`, "rw")] };
    await rejects(client.diff(DiffRequest.fromPartial(broken)), /no such file or directory/);
    equal(ingests(dir), 0);
    await rejects(client.diff(DiffRequest.fromPartial({ ...broken, ref: "mine" })), /no such file or directory/);
    equal(ingests(dir), 1);
    make("upper");
    const again = DiffRequest.fromPartial({
      left: [],
      right: [bind(`${dir}/upper`, "rw")],
      ref: "mine",
      mediaType: layer,
    });
    const { diff } = await client.diff(again);
    equal(diff?.digest, digestOf(new Uint8Array(1024)), "an archive without entries");
    equal(ingests(dir), 0);
  }));

Deno.test("DiffService.diff() sets no time later than source_date_epoch", () =>
  withService(async ({ client, dir, make, stores }) => {
    make("upper");
    Deno.writeTextFileSync(`${dir}/upper/f`, "");
    const right = [bind(`${dir}/upper`, "rw")];
    const request = DiffRequest.fromPartial({ right, mediaType: layer, sourceDateEpoch: { seconds: 1000, nanos: 5 } });
    const { diff } = await client.diff(request);
    const tar = await stores.of("ns").content.read(parseDigest(diff!.digest));
    equal(parseInt(new TextDecoder().decode(tar.subarray(136, 147)), 8), 1000);
  }));

mounting(
  "DiffService.diff() leaves no mount where a second mount fails or the caller leaves",
  () =>
    withService(async ({ client, dir, make }) => {
      make("lower", "upper");
      Deno.writeFileSync(`${dir}/upper/big`, new Uint8Array());
      Deno.truncateSync(`${dir}/upper/big`, 8 * 2 ** 30);
      const tmpfs = { type: "tmpfs", source: "tmpfs", options: ["size=1m"] };
      const bad = DiffRequest.fromPartial({ left: [tmpfs], right: [{ type: "nosuchfs", source: "x", options: [] }] });
      await rejects(
        client.diff(bad),
        /^Failure: failed to mount .*\/tmpmounts\/upper: .*nosuchfs: mount .*no such device/,
      );
      const slow = DiffRequest.fromPartial({ left: [tmpfs], right: [bind(`${dir}/upper`, "rw")] });
      await rejects(client.diff(slow, { timeoutMs: 200 }), { name: "TimeoutError" });
      equal(ingests(dir), 0);
    }),
);
