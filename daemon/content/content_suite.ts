/**
 * What must hold for every content store.
 *
 * @module
 */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Digest, parseDigest } from "../../api/digest.ts";
import { type Code, isFailure } from "../../api/errors.ts";
import { readBlob } from "./blob_reader.ts";
import type { SharingPolicy } from "./blob_rows.ts";
import type { ContentStore } from "./content_store.ts";
import { type ContentWriter, openWriter, type WriterOptions } from "./content_writer.ts";

/** A store to be tested, which goes when it is disposed. */
export interface SuiteStore extends AsyncDisposable {
  /** The content of a namespace. */
  of(namespace: string): ContentStore;
  /** Makes a lease in the namespace `default`, and tells what it holds. */
  lease(id: string): Promise<() => string[]>;
  /** Gives a namespace a label. */
  labelNamespace(namespace: string, label: string, value: string): Promise<void>;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const digestOf = (data: Uint8Array, algorithm = "sha256"): Digest =>
  parseDigest(`${algorithm}:${createHash(algorithm).update(data).digest("hex")}`);
const signal = new AbortController().signal;
const plain: WriterOptions = { expected: undefined, total: 0, lease: undefined, policy: "shared" };
const noEnd = { expected: undefined, total: 0, labels: {} };

async function write(store: ContentStore, text: string, options: Partial<WriterOptions> = {}): Promise<Digest> {
  const writer = await openWriter(store, `ref-${text}`, { ...plain, ...options });
  await writer.write(bytes(text));
  return (await writer.commit(noEnd)).digest;
}

function fails(promise: Promise<unknown>, code: Code, text: RegExp = /./): Promise<void> {
  return rejects(promise, (error) => isFailure(error, code) && text.test(error.message));
}

async function textOf(store: ContentStore, digest: Digest): Promise<string> {
  const row = await store.info(digest);
  const chunks = await Array.fromAsync(readBlob(store.files, row, { offset: 0, length: row.size }, signal));
  return chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
}

type Body = (suite: SuiteStore, store: ContentStore) => Promise<void>;

const tests: Readonly<Record<string, Body>> = {
  "makes a blob of what was written, with its labels": async (_, store) => {
    const writer = await openWriter(store, "r", plain);
    await writer.write(bytes("one, "));
    await writer.write(bytes("two"));
    equal(await writer.digest(), digestOf(bytes("one, two")));
    const { digest, size } = await writer.commit({ ...noEnd, total: 8, labels: { a: "1", none: "" } });
    deepEqual([digest, size], [digestOf(bytes("one, two")), 8]);
    deepEqual((await store.info(digest)).labels, { a: "1" });
    equal(await textOf(store, digest), "one, two");
    equal(await store.ingests.status("r"), undefined);
  },

  "goes on with a write that was closed, and counts what was there into the digest": async (_, store) => {
    const data = new Uint8Array(3_000_000).map((_, index) => index * 7 + (index >> 9));
    const first = await openWriter(store, "r", { ...plain, total: data.length });
    await first.write(data.subarray(0, 1_700_000));
    first.close();
    equal((await store.ingests.status("r"))?.offset, 1_700_000);
    const second = await openWriter(store, "r", { ...plain, total: data.length });
    equal(second.offset, 1_700_000);
    await second.write(data.subarray(1_700_000));
    equal((await second.commit({ ...noEnd, expected: digestOf(data) })).size, data.length);
  },

  "refuses a second writer of a ref, in the same process too, and others only": async (suite, store) => {
    const first = await openWriter(store, "r", plain);
    await fails(openWriter(store, "r", plain), "Unavailable", /^ref default\/r locked for .*s \(since .*\)$/);
    const other = await openWriter(store, "s", plain);
    const elsewhere = await openWriter(suite.of("other"), "r", plain);
    for (const writer of [first, other, elsewhere]) writer.close();
    (await openWriter(store, "r", plain)).close();
  },

  "keeps the bytes where size or digest are wrong, and lets the next writer go on": async (_, store) => {
    const wrong = digestOf(bytes("something else"));
    for (const end of [{ ...noEnd, total: 7 }, { ...noEnd, expected: wrong }]) {
      const writer = await openWriter(store, "r", plain);
      if (writer.offset === 0) await writer.write(bytes("bytes"));
      await fails(writer.commit(end), "FailedPrecondition", /failed size validation: 5 != 7|unexpected commit digest/);
      await fails(writer.write(bytes("more")), "FailedPrecondition", /ended/);
    }
    const again = await openWriter(store, "r", plain);
    equal(again.offset, 5);
    await again.truncate();
    await again.write(bytes("b"));
    equal(await textOf(store, (await again.commit(noEnd)).digest), "b");
  },

  "says that content exists, and puts it under the lease": async (suite, store) => {
    const holds = await suite.lease("l");
    const digest = await write(store, "x");
    await fails(
      openWriter(store, "r", { ...plain, expected: digest, lease: "l" }),
      "AlreadyExists",
      /^content sha256:/,
    );
    deepEqual(holds(), [`content ${digest}`]);
    await fails(write(store, "x", { lease: "l" }), "AlreadyExists");
    deepEqual([await store.ingests.status("ref-x"), await store.ingests.statuses(() => true)], [undefined, []]);
  },

  "holds a write and then its blob under a lease, and refuses one that is none": async (suite, store) => {
    const holds = await suite.lease("l");
    const writer = await openWriter(store, "r", { ...plain, lease: "l" });
    deepEqual(holds(), ["ingest r"]);
    await writer.write(bytes("leased"));
    const { digest } = await writer.commit(noEnd);
    deepEqual(holds(), [`content ${digest}`]);
    await fails(openWriter(store, "n", { ...plain, lease: "none" }), "NotFound", /lease does not exist/);
    equal(await store.ingests.status("n"), undefined);
  },

  "knows digests of other algorithms": async (_, store) => {
    for (const algorithm of ["sha384", "sha512"]) {
      const expected = digestOf(bytes(algorithm), algorithm);
      const writer = await openWriter(store, algorithm, { ...plain, expected });
      await writer.write(bytes(algorithm));
      equal((await writer.commit({ ...noEnd, expected })).digest, expected);
      equal((await store.verify(expected, signal)).state, "whole");
      // Said only at the end, it is computed from what lies on disk.
      const late = await openWriter(store, "late", plain);
      await late.write(bytes(`late ${algorithm}`));
      const digest = digestOf(bytes(`late ${algorithm}`), algorithm);
      equal((await late.commit({ ...noEnd, expected: digest })).digest, digest);
    }
    deepEqual((await store.list()).map(({ digest }) => digest.slice(0, 6)).sort(), [
      ...["sha384", "sha384"],
      ...["sha512", "sha512"],
    ]);
  },

  "takes over what another namespace has without its bytes, until the last one deletes it": async (suite, store) => {
    const other = suite.of("other");
    const digest = await write(other, "shared");
    const writer = await openWriter(store, "r", { ...plain, expected: digest, total: 6 });
    deepEqual([writer.offset, await writer.digest()], [6, digest]);
    // Between the two the first owner may go.
    await other.delete(digest);
    equal(store.files.size(digest), 6);
    await writer.commit({ ...noEnd, labels: { mine: "1" } });
    deepEqual((await store.info(digest)).labels, { mine: "1" });
    equal(await textOf(store, digest), "shared");
    await store.delete(digest);
    equal(store.files.size(digest), undefined);
  },

  "keeps the file of a take-over no longer than the take-over": async (suite, store) => {
    const other = suite.of("other");
    const digest = await write(other, "shared");
    await openWriter(store, "r", { ...plain, expected: digest });
    await other.delete(digest);
    await store.ingests.abort("r");
    equal(store.files.size(digest), undefined);
  },

  "sends bytes where a take-over is truncated or written to": async (suite, store) => {
    const digest = await write(suite.of("other"), "shared");
    const again = await openWriter(store, "again", { ...plain, expected: digest });
    await again.truncate();
    equal(again.offset, 0);
    await again.write(bytes("shared"));
    equal((await again.commit({ ...noEnd, expected: digest })).digest, digest);
    const longer = await openWriter(store, "longer", { ...plain, expected: await write(suite.of("other"), "sha") });
    await longer.write(bytes("red and more"));
    equal(await textOf(store, (await longer.commit(noEnd)).digest), "shared and more");
    equal(await textOf(suite.of("other"), digest), "shared");
  },

  "lends content by the policy, and by a namespace's label": async (suite, store) => {
    const other = suite.of("other");
    const digest = await write(other, "lent");
    const offset = async (policy: SharingPolicy, total = 0) => {
      const writer: ContentWriter = await openWriter(store, "r", { ...plain, expected: digest, policy, total });
      const { offset } = writer;
      writer.close();
      await store.ingests.abort("r");
      return offset;
    };
    deepEqual([await offset("shared"), await offset("isolated"), await offset("shared", 3)], [4, 0, 0]);
    await suite.labelNamespace("other", "containerd.io/namespace.shareable", "true");
    equal(await offset("isolated"), 4);
    // Who has the bytes may have the blob in any case.
    await write(suite.of("third"), "lent", { policy: "isolated" });
    await other.delete(digest);
    equal(await offset("isolated"), 0);
  },

  "aborts a write, also under its writer's hands": async (_, store) => {
    const writer = await openWriter(store, "r", plain);
    await writer.write(bytes("gone"));
    await store.ingests.abort("r");
    await fails(store.ingests.abort("r"), "NotFound", /^reference r$/);
    const next = await openWriter(store, "r", plain);
    await next.write(bytes("next"));
    await fails(writer.write(bytes("more")), "Aborted", /aborted by another call/);
    await fails(writer.commit(noEnd), "Aborted");
    writer.close();
    equal((await store.ingests.status("r"))?.offset, 4);
    equal(await textOf(store, (await next.commit(noEnd)).digest), "next");
  },

  "makes the blob anew whose file lost its end, or all": async (_, store) => {
    const digest = await write(store, "damaged");
    for (const damage of [() => Deno.truncateSync(store.path(digest), 2), () => Deno.removeSync(store.path(digest))]) {
      damage();
      equal((await store.verify(digest, signal)).state === "whole", false);
      const writer = await openWriter(store, "r", { ...plain, expected: digest });
      equal(writer.offset, 0);
      await writer.write(bytes("damaged"));
      await writer.commit({ ...noEnd, expected: digest });
      equal(await textOf(store, digest), "damaged");
    }
  },

  "verifies content and not only sizes": async (_, store) => {
    const digest = await write(store, "right");
    deepEqual(await store.verify(digest, signal), { state: "whole", size: 5 });
    Deno.chmodSync(store.path(digest), 0o644);
    Deno.writeTextFileSync(store.path(digest), "wrong");
    const actual = digestOf(bytes("wrong"));
    deepEqual(await store.verify(digest, signal), { state: "wrong content", size: 5, actual });
    Deno.truncateSync(store.path(digest), 1);
    deepEqual(await store.verify(digest, signal), { state: "wrong size", size: 1, expected: 5 });
    Deno.removeSync(store.path(digest));
    deepEqual(await store.verify(digest, signal), { state: "missing" });
    await fails(store.verify(digestOf(bytes("none")), signal), "NotFound");
  },

  "has 64 writers at once": async (_, store) => {
    const writers = await Promise.all(
      Array.from({ length: 64 }, (_, index) => openWriter(store, `r${index}`, plain)),
    );
    await Promise.all(writers.map(async (writer, index) => {
      for (let part = 0; part < 4; part++) await writer.write(new Uint8Array(100_000).fill(index));
    }));
    equal((await store.ingests.statuses(() => true)).length, 64);
    await Promise.all(writers.map((writer) => writer.commit({ ...noEnd, total: 400_000 })));
    equal((await store.list()).length, 64);
    deepEqual(await store.ingests.statuses(() => true), []);
    deepEqual([...Deno.readDirSync(store.ingests.directory)], []);
  },

  "lets one of several writers of the same content make it": async (_, store) => {
    const writers = await Promise.all(Array.from({ length: 8 }, (_, index) => openWriter(store, `r${index}`, plain)));
    const ends = await Promise.allSettled(writers.map(async (writer) => {
      await writer.write(bytes("same"));
      return await writer.commit(noEnd);
    }));
    equal(ends.filter(({ status }) => status === "fulfilled").length, 1);
    for (const end of ends) ok(end.status === "fulfilled" || isFailure(end.reason, "AlreadyExists"));
    deepEqual([...Deno.readDirSync(store.ingests.directory)], []);
  },

  "ends a read with the signal's reason, and with a sentence where the file ends early": async (_, store) => {
    const writer = await openWriter(store, "r", plain);
    await writer.write(new Uint8Array(3 << 20));
    const { digest, size } = await writer.commit(noEnd);
    const row = await store.info(digest);
    const leaving = new AbortController();
    const reading = readBlob(store.files, row, { offset: 0, length: size }, leaving.signal);
    equal((await reading.next()).value?.length, 1 << 20);
    leaving.abort();
    await rejects(reading.next(), { name: "AbortError" });
    const cut = readBlob(store.files, row, { offset: 0, length: size }, signal);
    await cut.next();
    Deno.truncateSync(store.path(digest), 1 << 20);
    await fails(
      (async () => {
        while (!(await cut.next()).done);
      })(),
      "DataLoss",
      /its file has 1048576 of 3145728 bytes/,
    );
  },
};

/** Registers the tests for a kind of store. */
export function contentSuite(name: string, open: () => Promise<SuiteStore>): void {
  for (const [what, body] of Object.entries(tests)) {
    Deno.test(`${name} ${what}`, async () => {
      await using suite = await open();
      await body(suite, suite.of("default"));
    });
  }
}
