/**
 * What clients do with the content service, well and badly.
 *
 * @module
 */
import { WriteAction } from "../../api/gen/services/content/v1/content.ts";
import { bytesOf, digestOf, type Transcript, WriteStream } from "./content_client.ts";

const { STAT, WRITE, COMMIT } = WriteAction;
const missing = `sha256:${"0".repeat(64)}`;

/** Opens a transcript of the same server in a namespace, with a lease where one is named. */
export type Open = (namespace: string, lease?: string) => Transcript & Disposable;

/** One thing that clients do, in a namespace of its own. */
export type Scenario = (open: Open, namespace: string) => Promise<string[]>;

async function withTranscript(open: Open, namespace: string, body: (t: Transcript) => Promise<void>) {
  using t = open(namespace);
  await body(t);
  return t.lines;
}

const writing: Scenario = (open, namespace) =>
  withTranscript(open, namespace, async (t) => {
    const data = bytesOf("hello, world");
    const digest = digestOf(data);
    await using stream = new WriteStream(t.content);
    await t.note("stat", () => stream.say({ action: STAT, ref: "w", total: 12, expected: digest }));
    await t.note("write", () => stream.say({ action: WRITE, data: data.subarray(0, 5), offset: 0 }));
    await t.note("status", () => t.content.status({ ref: "w" }));
    await t.note("statuses", () => t.content.listStatuses({ filters: ["ref==w"] }));
    await t.note("statuses of others", () => t.content.listStatuses({ filters: ["ref==x"] }));
    await t.note("write at the end", () => stream.say({ action: WRITE, data: data.subarray(5), offset: 5 }));
    await t.note("commit", () => stream.say({ action: COMMIT, offset: 12, labels: { a: "b", none: "" } }));
    await t.note("rest", () => stream.end());
    await t.note("info", () => t.content.info({ digest }));
    await t.noteAll("read", () => t.content.read({ digest, offset: 0, size: 0 }));
    await t.list("");
    await t.note("status after", () => t.content.status({ ref: "w" }));
  });

const halfClose: Scenario = (open, namespace) =>
  withTranscript(open, namespace, async (t) => {
    await using stream = new WriteStream(t.content);
    await t.note("write", () => stream.say({ action: WRITE, ref: "h", data: bytesOf("half") }));
    await t.note("rest", () => stream.end());
    await t.note("status", () => t.content.status({ ref: "h" }));
    await using again = new WriteStream(t.content);
    await t.note("stat", () => again.say({ action: STAT, ref: "h" }));
    await t.note("more", () => again.say({ action: WRITE, offset: 4, data: bytesOf(" done") }));
    await t.note("commit", () => again.say({ action: COMMIT, offset: 9 }));
    await t.note("rest of it", () => again.end());
  });

const refusals: Scenario = (open, namespace) =>
  withTranscript(open, namespace, async (t) => {
    const first = async (what: string, request: Parameters<WriteStream["say"]>[0]) => {
      await using stream = new WriteStream(t.content);
      await t.note(what, () => stream.say(request));
    };
    await first("no ref", { action: STAT });
    await first("offset", { action: WRITE, ref: "r", offset: 3, data: bytesOf("x") });
    await first("wrong size", { action: COMMIT, ref: "r", total: 9, data: bytesOf("x") });
    await t.note("it stays", () => t.content.status({ ref: "r" }));
    await first("wrong digest", { action: COMMIT, ref: "d", expected: missing, data: bytesOf("x") });
    await t.note("it stays too", () => t.content.status({ ref: "d" }));
    await first("commit at 0", { action: COMMIT, ref: "d", total: 1 });
    await first("nothing at all", { action: COMMIT, ref: "e", total: 5 });
    await t.note("abort", () => t.content.abort({ ref: "d" }));
    await t.note("abort again", () => t.content.abort({ ref: "d" }));
    await t.note("status", () => t.content.status({ ref: "d" }));
    await t.note("empty", async () => {
      await using stream = new WriteStream(t.content);
      return await stream.end();
    });
  });

const existing: Scenario = (open, namespace) =>
  withTranscript(open, namespace, async (t) => {
    const digest = await t.put("existing");
    const data = bytesOf("existing");
    await using known = new WriteStream(t.content);
    await t.note("known from the beginning", () => known.say({ action: STAT, ref: "a", expected: digest }));
    await using unknown = new WriteStream(t.content);
    await t.note("not known", () => unknown.say({ action: WRITE, ref: "b", data }));
    await t.note("committed twice", () => unknown.say({ action: COMMIT, offset: data.length }));
    await t.note("status", () => t.content.status({ ref: "b" }));
    await using late = new WriteStream(t.content);
    await t.note("not known", () => late.say({ action: WRITE, ref: "c", data }));
    await t.note("said late", () => late.say({ action: WRITE, offset: data.length, expected: digest }));
    await t.note("status", () => t.content.status({ ref: "c" }));
  });

const truncating: Scenario = (open, namespace) =>
  withTranscript(open, namespace, async (t) => {
    await using stream = new WriteStream(t.content);
    await t.note("write", () => stream.say({ action: WRITE, ref: "t", data: bytesOf("wrong") }));
    await t.note("again", () => stream.say({ action: WRITE, data: bytesOf("right!") }));
    await t.note("stat", () => stream.say({ action: STAT, total: 6 }));
    await t.note("commit", () => stream.say({ action: COMMIT, offset: 6, expected: digestOf(bytesOf("right!")) }));
    await t.note("rest", () => stream.end());
    await using last = new WriteStream(t.content);
    await t.note("write", () => last.say({ action: WRITE, ref: "u", data: bytesOf("some") }));
    await t.note("commit without offset", () => last.say({ action: COMMIT, total: 4 }));
  });

const reading: Scenario = (open, namespace) =>
  withTranscript(open, namespace, async (t) => {
    const digest = await t.put("0123456789");
    const ranges = [[0, 0], [3, 4], [3, 0], [8, 100], [10, 0], [11, 0], [-5, 2], [2, -1]] as const;
    for (const [offset, size] of ranges) {
      await t.noteAll(`read ${offset} ${size}`, () => t.content.read({ digest, offset, size }));
    }
    await t.noteAll("missing", () => t.content.read({ digest: missing, offset: 0, size: 0 }));
    await t.noteAll("malformed", () => t.content.read({ digest: "sha256:x", offset: 0, size: 0 }));
  });

const asking: Scenario = (open, namespace) =>
  withTranscript(open, namespace, async (t) => {
    const digest = await t.put("asked", "asked", { one: "1", two: "2" });
    await t.put("other", "other", { one: "x" });
    for (const bad of ["", "x", "sha256:", "sha256:abc", "md5:" + "0".repeat(32), missing, missing.toUpperCase()]) {
      await t.note(`info ${bad}`, () => t.content.info({ digest: bad }));
      await t.note(`update ${bad}`, () => t.content.update({ info: info(bad), updateMask: undefined }));
      await t.note(`delete ${bad}`, () => t.content.delete({ digest: bad }));
    }
    for (
      const filter of [
        `digest==${digest}`,
        "labels.one==1",
        'labels."two"',
        "labels.one!=1",
        "size==5",
        "labels.one~=[0-9],labels.two==2",
        "==",
      ]
    ) {
      await t.list(filter);
    }
    await t.note("bad filter", () => t.content.listStatuses({ filters: ["=="] }));
    for (const updateMask of [["labels.one"], ["labels"], ["size"], ["labels.two", "x"], undefined, []]) {
      await t.note(`update ${updateMask}`, () => t.content.update({ info: info(digest, { one: "3" }), updateMask }));
      await t.note("now", () => t.content.info({ digest }));
    }
    await t.noteCode(
      "long label",
      () => t.content.update({ info: info(digest, { k: "v".repeat(4096) }), updateMask: undefined }),
    );
    await t.note(
      "empty label",
      () => t.content.update({ info: info(digest, { one: "" }), updateMask: ["labels.one"] }),
    );
    await t.note("now", () => t.content.info({ digest }));
    await t.note("delete", () => t.content.delete({ digest }));
    await t.note("delete again", () => t.content.delete({ digest }));
    await t.list("");
  });

function info(digest: string, labels: Record<string, string> = {}) {
  return { digest, labels, size: 0, createdAt: undefined, updatedAt: undefined };
}

const sharing: Scenario = (open, namespace) =>
  withTranscript(open, namespace, async (t) => {
    using other = open(`${namespace}-other`);
    const digest = await other.put(`shared ${namespace.length}`, "shared", { mine: "yes" });
    const total = `shared ${namespace.length}`.length;
    await t.note("not here", () => t.content.info({ digest }));
    await using stream = new WriteStream(t.content);
    await t.note("stat", () => stream.say({ action: STAT, ref: "s", expected: digest, total }));
    await t.noteCode("status", () => t.content.status({ ref: "s" }));
    await t.note("statuses", () => t.content.listStatuses({ filters: [] }));
    await t.note("commit", () => stream.say({ action: COMMIT, offset: total, labels: { ours: "1" } }));
    await t.note("rest", () => stream.end());
    await t.note("info", () => t.content.info({ digest }));
    await other.content.delete({ digest });
    await t.noteAll("read", () => t.content.read({ digest, offset: 0, size: 0 }));
    await t.note("delete", () => t.content.delete({ digest }));
  });

const sharingRefused: Scenario = (open, namespace) =>
  withTranscript(open, namespace, async (t) => {
    using other = open(`${namespace}-other`);
    const text = `refused ${namespace.length}`;
    const digest = await other.put(text);
    await using size = new WriteStream(t.content);
    await t.note("another total", () => size.say({ action: STAT, ref: "s", expected: digest, total: 3 }));
    await using wrong = new WriteStream(t.content);
    await t.note("shared", () => wrong.say({ action: STAT, ref: "w", expected: digest }));
    await t.note("later total", () => wrong.say({ action: COMMIT, offset: text.length, total: 3 }));
    await using from0 = new WriteStream(t.content);
    await t.note("shared", () => from0.say({ action: STAT, ref: "x", expected: digest }));
    await t.note("from 0", () => from0.say({ action: WRITE, data: bytesOf(text) }));
    await t.note("commit", () => from0.say({ action: COMMIT, offset: text.length }));
    await t.note("aborted", () => t.content.abort({ ref: "w" }));
  });

const locked: Scenario = (open, namespace) =>
  withTranscript(open, namespace, async (t) => {
    await using first = new WriteStream(t.content);
    await t.note("first", () => first.say({ action: WRITE, ref: "l", data: bytesOf("mine") }));
    await using second = new WriteStream(t.content);
    await t.note("second", async () => {
      try {
        return await second.say({ action: STAT, ref: "l" });
      } catch (error) {
        // Times, and containerd's number of the ref.
        if (error instanceof Error) {
          error.message = error.message.replace(/\/\d+\//, "/").replace(/for .*/, "for … (since …)");
        }
        throw error;
      }
    });
    first.leave();
    await t.note("third", async () => {
      for (;;) {
        try {
          await using third = new WriteStream(t.content);
          return await third.say({ action: STAT, ref: "l" });
        } catch (error) {
          if (!(error instanceof Error && error.message.includes("locked"))) throw error;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    });
  });

const leased: Scenario = async (open, namespace) => {
  using t = open(namespace);
  await t.leases.create({ id: "l", labels: {} });
  using under = open(namespace, "l");
  const digest = await under.put("under a lease");
  const resources = async () =>
    (await t.leases.listResources({ id: "l" })).resources.map(({ id, type }) => `${type} ${id}`).sort();
  await t.note("holds", resources);
  await using stream = new WriteStream(under.content);
  await stream.say({ action: WRITE, ref: "ingest", data: bytesOf("some") });
  await t.note("holds the write", resources);
  // Without the lease's header containerd keeps a reference to what is gone, in both cases; with it barge does the same.
  await t.note("abort", () => under.content.abort({ ref: "ingest" }));
  await t.note("holds it no more", resources);
  const other = await t.put("without");
  await using existing = new WriteStream(under.content);
  await t.note("existing", () => existing.say({ action: STAT, ref: "e", expected: other }));
  await t.note("holds both", resources);
  await under.content.delete({ digest });
  await t.note("holds one", resources);
  using strange = open(namespace, "no-such-lease");
  await using refused = new WriteStream(strange.content);
  await t.note("no such lease", () => refused.say({ action: STAT, ref: "n" }));
  return t.lines;
};

const nameless: Scenario = (open) =>
  withTranscript(open, "", async (t) => {
    await t.note("info", () => t.content.info({ digest: missing }));
    await t.list("");
    await t.note("statuses", () => t.content.listStatuses({ filters: [] }));
    await using stream = new WriteStream(t.content);
    await t.note("write", () => stream.say({ action: STAT, ref: "x" }));
  });

/** All of them, by what they are about. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  writing,
  "half-closed streams and resuming": halfClose,
  refusals,
  "content that exists": existing,
  truncating,
  "ranges of reads": reading,
  "labels, filters, masks and digests": asking,
  "taking over another namespace's content": sharing,
  "what keeps content from being taken over": sharingRefused,
  "two writers of one ref": locked,
  leases: leased,
  "calls without a namespace": nameless,
};
