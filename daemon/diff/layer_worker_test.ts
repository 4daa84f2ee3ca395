import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { archive, concat } from "./archive_fixture.ts";
import { type LayerJob, type LayerResult, LayerWorker } from "./layer_worker.ts";

const plain = "application/vnd.oci.image.layer.v1.tar";
const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Random contents, which no compressor makes small. */
function noise(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
}

async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-worker-" });
  try {
    await Deno.mkdir(`${dir}/target`);
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function send(worker: LayerWorker, job: LayerJob, bytes: Uint8Array, step = 65536): Promise<LayerResult> {
  worker.start(job);
  for (let at = 0; at < bytes.length; at += step) await worker.write(bytes.slice(at, at + step));
  return await worker.finish();
}

const tail = noise(700);
const contents = noise(3_000_000);
// What follows the end of the archive belongs to both digests.
const tar = concat(archive({ name: "f", data: contents }, { name: "d/g", data: "g" }), tail);
const gzip = new Uint8Array(gzipSync(tar, { level: 1 }));

Deno.test("LayerWorker stores, hashes and applies what is written, for one job after another", () =>
  withDir(async (dir) => {
    using worker = new LayerWorker();
    for (const [index, bytes] of [tar, gzip].entries()) {
      const job: LayerJob = {
        mediaType: index === 0 ? plain : `${plain}+gzip`,
        offset: 0,
        ingestData: `${dir}/data`,
        target: { dir: `${dir}/target`, form: "overlay" },
      };
      let applied = 0;
      worker.progress = (bytesApplied) => void (applied = bytesApplied);
      const result = await send(worker, job, bytes);
      assert.deepEqual([result.digest, result.size, result.diffId], [sha256(bytes), bytes.length, sha256(tar)]);
      assert.deepEqual([result.impliedDirs, result.unresolvedLinks], [["d"], []]);
      assert.ok(applied > 1_000_000, `progress said ${applied}`);
      assert.deepEqual(await Deno.readFile(`${dir}/data`), new Uint8Array(bytes));
      assert.deepEqual(await Deno.readFile(`${dir}/target/f`), contents);
      await Deno.remove(`${dir}/data`);
      await Deno.remove(`${dir}/target/d`, { recursive: true });
    }
  }));

Deno.test("LayerWorker goes on where an ingest has ended, and cuts off what is beyond the offset", () =>
  withDir(async (dir) => {
    using worker = new LayerWorker();
    const half = 1_234_567;
    await Deno.writeFile(`${dir}/data`, concat(gzip.subarray(0, half), noise(100)));
    const target = { dir: `${dir}/target`, form: "plain" as const };
    const job = { mediaType: `${plain}+gzip`, offset: half, ingestData: `${dir}/data`, target };
    const result = await send(worker, job, gzip.subarray(half));
    assert.deepEqual([result.digest, result.size, result.diffId], [sha256(gzip), gzip.length, sha256(tar)]);
    assert.deepEqual(sha256(await Deno.readFile(`${dir}/data`)), sha256(gzip));
    worker.start({ ...job, offset: gzip.length + 1 });
    await assert.rejects(worker.finish(), {
      code: "FailedPrecondition",
      message: /it holds \d+ bytes and should hold/,
    });
  }));

Deno.test("LayerWorker reads a blob, and only hashes without a target", () =>
  withDir(async (dir) => {
    using worker = new LayerWorker();
    await Deno.writeFile(`${dir}/blob`, gzip);
    const target = { dir: `${dir}/target`, form: "plain" as const };
    worker.start({ mediaType: `${plain}+gzip`, offset: 0, blob: `${dir}/blob`, target });
    assert.equal((await worker.finish()).diffId, sha256(tar));
    worker.start({ mediaType: "anything", offset: 0, blob: `${dir}/blob` });
    const result = await worker.finish();
    assert.deepEqual([result.digest, result.diffId], [sha256(gzip), undefined]);
    worker.start({ mediaType: plain, offset: 0, blob: `${dir}/none` });
    await assert.rejects(worker.finish(), { code: "NotFound", message: /none": no such file/ });
  }));

Deno.test("LayerWorker gives failures of the thread with their code, and can be used again", () =>
  withDir(async (dir) => {
    using worker = new LayerWorker();
    const target = { dir: `${dir}/target`, form: "plain" as const };
    const job = { mediaType: `${plain}+gzip`, offset: 0, target };
    await assert.rejects(send(worker, job, gzip.subarray(0, -5)), { name: "Failure", code: "DataLoss" });
    await assert.rejects(send(worker, { ...job, mediaType: "x/y" }, gzip), { code: "NotImplemented" });
    const missing = { dir: `${dir}/no`, form: "plain" as const };
    await assert.rejects(send(worker, { ...job, target: missing }, gzip), { code: "NotFound", message: /no"/ });
    assert.equal((await send(worker, job, gzip)).diffId, sha256(tar));
  }));

Deno.test("LayerWorker holds writers back that are faster than it", () =>
  withDir(async (dir) => {
    using worker = new LayerWorker();
    worker.start({ mediaType: plain, offset: 0, ingestData: `${dir}/data` });
    const first = worker.write(noise(6 << 20)).then(() => "ready");
    assert.equal(await first, "ready");
    // Nothing has come back from the thread yet, so this goes beyond the credit.
    let isReady = false;
    const second = worker.write(noise(6 << 20)).then(() => void (isReady = true));
    await Promise.resolve();
    assert.equal(isReady, false);
    await second;
    assert.equal((await worker.finish()).size, 12 << 20);
  }));

Deno.test("LayerWorker copies a view of a larger buffer, and takes a whole one", async () => {
  using worker = new LayerWorker();
  const [view, whole] = [Buffer.from(noise(100).buffer), noise(50)];
  const wanted = sha256(concat(view.subarray(10, 60), whole));
  worker.start({ mediaType: plain, offset: 0 });
  await worker.write(view.subarray(10, 60));
  await worker.write(whole);
  assert.deepEqual([view.length, whole.length], [100, 0]);
  assert.equal((await worker.finish()).digest, wanted);
});

Deno.test("LayerWorker ends a job at once when it is aborted, and takes the next", () =>
  withDir(async (dir) => {
    using worker = new LayerWorker();
    await worker.abort();
    worker.start({ mediaType: plain, offset: 0, ingestData: `${dir}/data` });
    await worker.write(noise(1000));
    await worker.abort();
    await assert.rejects(async () => await worker.finish(), /start\(\) comes first/);
    // A blob that would never end is left in the middle.
    worker.start({ mediaType: plain, offset: 0, blob: "/dev/zero" });
    const finished = assert.rejects(worker.finish(), { code: "Canceled" });
    await worker.abort();
    await finished;
    worker.start({ mediaType: plain, offset: 0 });
    assert.equal((await worker.finish()).size, 0);
  }));

Deno.test("LayerWorker does not hang when its thread dies", async () => {
  const dying = `onmessage = (event) => { if (event.data.kind === "finish") throw new Error("struck by a test"); };`;
  using worker = new LayerWorker(new URL(`data:text/javascript,${encodeURIComponent(dying)}`));
  for (let round = 0; round < 2; round++) {
    worker.start({ mediaType: plain, offset: 0 });
    await worker.write(noise(10));
    await assert.rejects(worker.finish(), { code: "Internal", message: /ended unexpectedly.*struck by a test/ });
  }
});

Deno.test("LayerWorker fails a waiting job when it is disposed of", async () => {
  const worker = new LayerWorker();
  worker.start({ mediaType: plain, offset: 0 });
  const finished = assert.rejects(worker.finish(), { code: "Canceled" });
  worker[Symbol.dispose]();
  await finished;
});
