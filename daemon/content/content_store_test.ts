import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Digest, parseDigest } from "../../api/digest.ts";
import { Failure, isFailure } from "../../api/errors.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import { LeaseStore } from "../leases/lease_store.ts";
import { Database } from "../metadata/database.ts";
import { Objects } from "../metadata/objects.ts";
import { Trash } from "../metadata/trash.ts";
import { ContentStore } from "./content_store.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const digestOf = (data: Uint8Array): Digest => parseDigest("sha256:" + createHash("sha256").update(data).digest("hex"));
const signal = new AbortController().signal;

interface Fixture {
  dir: string;
  content: ContentStore;
  leases: LeaseStore;
  open(namespace: string): ContentStore;
}

async function withStore(body: (fixture: Fixture) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-content-" });
  try {
    for (const part of ["blobs", "ingest", "trash", "leases"]) await Deno.mkdir(`${dir}/${part}`);
    using database = await Database.open(`${dir}/meta.db`);
    const open = (namespace: string) =>
      new ContentStore(new Objects(database, namespace), dir, new Trash(`${dir}/trash`));
    await body({
      dir,
      open,
      content: open("default"),
      leases: new LeaseStore(new Objects(database, "default"), `${dir}/leases`),
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name);

Deno.test("ContentStore.put() lays a blob out as containerd does and leaves no ingest", () =>
  withStore(async ({ dir, content }) => {
    const data = bytes("hello"), digest = digestOf(data);
    await content.put("config-x", data, { expected: digest, size: 5, labels: { a: "b", none: "" }, signal });
    const file = Deno.statSync(`${dir}/blobs/sha256/${digest.slice(7)}`);
    assert.equal(file.mode! & 0o777, 0o444);
    assert.deepEqual(names(`${dir}/ingest`), []);
    const { size, labels } = await content.info(digest);
    assert.deepEqual({ size, labels }, { size: 5, labels: { a: "b" } });
    assert.deepEqual(await content.read(digest), data);
    assert.deepEqual([...content.files.list()], [digest]);
  }));

Deno.test("ContentStore.openIngest() goes on where an interrupted write stopped", () =>
  withStore(async ({ dir, content }) => {
    const data = bytes("first half, second half"), expected = digestOf(data);
    {
      using first = await content.openIngest("layer", { expected, size: data.length, signal });
      await first.write(data.subarray(0, 11));
    }
    assert.equal(names(`${dir}/ingest`).length, 1);
    using second = await content.openIngest("layer", { expected, size: data.length, signal });
    assert.equal(second.offset, 11);
    await second.write(data.subarray(11));
    assert.equal(await second.commit({ expected, size: data.length }), expected);
    assert.deepEqual(await content.read(expected), data);
  }));

Deno.test("ContentStore.openIngest() begins anew where the size is another or the files are not whole", () =>
  withStore(async ({ dir, content }) => {
    for (const spoil of [false, true]) {
      {
        using first = await content.openIngest("ref", { size: 100, signal });
        await first.write(bytes("some"));
      }
      if (spoil) Deno.removeSync(`${dir}/ingest/${names(`${dir}/ingest`)[0]}/ref`);
      using second = await content.openIngest("ref", { size: spoil ? 100 : 200, signal });
      assert.equal(second.offset, 0);
      await second.abort();
    }
    assert.deepEqual(names(`${dir}/ingest`), []);
  }));

Deno.test("ContentStore.openIngest() of a blob that is there throws AlreadyExists and puts it under the lease", () =>
  withStore(async ({ content, leases }) => {
    const data = bytes("x"), expected = digestOf(data);
    await content.put("a", data, { expected, signal });
    await using lease = await leases.own("test");
    await assert.rejects(
      content.openIngest("b", { expected, size: 1, lease: lease.id, signal }),
      (e) => isFailure(e, "AlreadyExists"),
    );
    assert.deepEqual(leases.resources(lease.id).map((r) => ({ ...r })), [{ kind: "content", key: expected }]);
  }));

Deno.test("ContentStore.openIngest() waits for another writer of the same ref, and then finds the blob", () =>
  withStore(async ({ content }) => {
    const data = bytes("together"), expected = digestOf(data);
    using first = await content.openIngest("ref", { expected, signal });
    const second = content.openIngest("ref", { expected, signal });
    await first.write(data);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await first.commit({ expected });
    await assert.rejects(second, (e) => isFailure(e, "AlreadyExists"));
  }));

Deno.test("ContentStore.openIngest() takes over from another writer that gave up", () =>
  withStore(async ({ content }) => {
    const first = await content.openIngest("ref", { signal });
    await first.write(bytes("abc"));
    const waiting = content.openIngest("ref", { signal });
    first.close();
    using second = await waiting;
    assert.equal(second.offset, 3);
  }));

Deno.test("Ingest.commit() refuses wrong size and wrong digest, and abort() then leaves nothing", () =>
  withStore(async ({ dir, content }) => {
    const expected = digestOf(bytes("right"));
    using ingest = await content.openIngest("ref", { expected, signal });
    await ingest.write(bytes("wrong"));
    await assert.rejects(ingest.commit({ expected, size: 4 }), /has 5 bytes, expected 4/);
    await assert.rejects(
      ingest.commit({ expected }),
      (e) => isFailure(e, "FailedPrecondition") && /expected/.test(e.message),
    );
    await ingest.abort();
    assert.deepEqual(names(`${dir}/ingest`), []);
    assert.equal(await content.find(expected), undefined);
    assert.deepEqual(await content.objects.database.all("SELECT * FROM ingests"), []);
  }));

Deno.test("ContentStore shares the file of a blob between namespaces until the last one deletes it", () =>
  withStore(async ({ dir, content, open }) => {
    const data = bytes("shared"), expected = digestOf(data), other = open("other");
    await content.put("a", data, { expected, signal });
    assert.equal(await other.find(expected), undefined);
    assert.equal(await other.claim(expected, { size: data.length }), true);
    await content.delete(expected);
    assert.deepEqual(await other.read(expected), data);
    await other.delete(expected);
    await assert.rejects(other.read(expected), (e) => isFailure(e, "NotFound"));
    assert.deepEqual([names(`${dir}/trash`), names(`${dir}/blobs/sha256`)], [[], []]);
    await assert.rejects(other.delete(expected), (e) => isFailure(e, "NotFound"));
  }));

Deno.test("ContentStore.claim() throws a blob away whose file lost its end", () =>
  withStore(async ({ content }) => {
    const data = bytes("whole"), expected = digestOf(data);
    await content.put("a", data, { expected, signal });
    Deno.truncateSync(content.path(expected), 2);
    assert.equal(await content.claim(expected, { size: 5 }), false);
    assert.equal(await content.find(expected), undefined);
    await content.put("a", data, { expected, signal });
    assert.deepEqual(await content.read(expected), data);
  }));

Deno.test("ContentStore.openIngest() under a lease that is gone fails and changes nothing", () =>
  withStore(async ({ content }) => {
    await assert.rejects(content.openIngest("ref", { lease: "gone", signal }), (e) => isFailure(e, "NotFound"));
    assert.deepEqual(content.objects.database.all("SELECT * FROM ingests"), []);
    using again = await content.openIngest("ref", { signal });
    assert.equal(again.offset, 0);
  }));

Deno.test({
  name: "Ingest.write() says that the disk is full, and the store stays usable (needs root for a small tmpfs)",
  ignore: Deno.uid() !== 0,
  fn: () =>
    withStore(async ({ dir, content }) => {
      const mount = async (...args: string[]) =>
        assert.ok((await new Deno.Command(args[0]!, { args: args.slice(1) }).output()).success);
      await mount("mount", "-t", "tmpfs", "-o", "size=64k", "barge-test", `${dir}/ingest`);
      try {
        const ingest = await content.openIngest("ref", { signal });
        await assert.rejects(
          ingest.write(new Uint8Array(200_000)),
          (e) => e instanceof Failure && e.code === "ResourceExhausted" && /no space left/.test(e.message),
        );
        await ingest.abort();
        await assert.doesNotReject(content.list());
      } finally {
        await mount("umount", `${dir}/ingest`);
      }
    }),
});

Deno.test("ContentStore.read() refuses a document that a disk has changed, though its size is the same", () =>
  withStore(async ({ content }) => {
    const data = bytes(`{"config":{"User":"nobody"}}`), digest = digestOf(data);
    await content.put("config", data, { expected: digest, size: data.length, signal });
    await Deno.chmod(content.path(digest), 0o644);
    await Deno.writeFile(content.path(digest), bytes(`{"config":{"User":"nobodx"}}`));
    await assert.rejects(
      content.read(digest),
      (error) => isFailure(error, "DataLoss") && error.message.includes(digest) && /doctor/.test(error.message),
    );
  }));

Deno.test("ContentStore.openIngest() notes the time of each write, and tells it when it is closed as before", () =>
  withStore(async ({ content }) => {
    let last: { started: number; updated: number };
    {
      const before = wallTimeMs();
      using ingest = await content.openIngest("timed", { signal });
      const { started } = ingest.status();
      assert(started > before && started < wallTimeMs());
      for (const text of ["small", "x".repeat(100_000), "small again"]) {
        const written = wallTimeMs();
        await ingest.write(bytes(text));
        const { updated, started: again } = ingest.status();
        assert(updated > written && updated < wallTimeMs(), `${written} ${updated}`);
        assert.equal(again, started);
      }
      last = ingest.status();
      await ingest.write(bytes(""));
      assert.deepEqual(ingest.status(), last);
      assert.deepEqual(await content.ingests.status("timed"), { ref: "timed", ...last });
    }
    assert.deepEqual(await content.ingests.status("timed"), { ref: "timed", ...last });
    using again = await content.openIngest("timed", { signal });
    assert.deepEqual(again.status(), last);
  }));

Deno.test("ContentStore.openIngest() and a close without a write leave the time of the last write", () =>
  withStore(async ({ content }) => {
    const pause = () => new Promise((resolve) => setTimeout(resolve, 30));
    {
      using first = await content.openIngest("slow", { signal });
      await first.write(bytes("half"));
    }
    const status = async () => (await content.ingests.status("slow"))!;
    const { started, updated } = await status();
    await pause();
    {
      using again = await content.openIngest("slow", { signal });
      assert.deepEqual([again.status().started, again.status().updated], [started, updated]);
    }
    await pause();
    assert.deepEqual([(await status()).started, (await status()).updated], [started, updated]);
    {
      using last = await content.openIngest("slow", { signal });
      await last.write(bytes(", and half"));
    }
    assert((await status()).updated > updated);
  }));
