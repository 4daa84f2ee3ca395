import assert from "node:assert/strict";
import { SnapshotCommit, SnapshotPrepare, SnapshotRemove } from "../../api/gen/events/snapshot.ts";
import {
  CommitSnapshotRequest,
  PrepareSnapshotRequest,
  SnapshotsDefinition,
  ViewSnapshotRequest,
} from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { isFailure } from "../../api/errors.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import type { ClientOf } from "../../api/rpc/definition.ts";
import { openStores, type Stores } from "../store.ts";
import { SnapshotsService } from "./snapshots.ts";

const decoders = {
  "/snapshot/prepare": SnapshotPrepare,
  "/snapshot/commit": SnapshotCommit,
  "/snapshot/remove": SnapshotRemove,
} as const;

interface Fixture {
  snapshots: ClientOf<typeof SnapshotsDefinition>;
  stores: Stores;
  root: string;
  events: [namespace: string, topic: string, message: unknown][];
}

const snapshotter = "native";
const labels = {};

function test(name: string, body: (fixture: Fixture) => Promise<void>): void {
  const problem = Deno.uid() === 0 ? "" : " (needs root)";
  Deno.test({
    name: `SnapshotsService: ${name}${problem}`,
    ignore: problem !== "",
    fn: async () => {
      const root = await Deno.makeTempDir({ prefix: "barge-snapshots-service-" });
      try {
        using stores = await openStores(root);
        const events: Fixture["events"] = [];
        const publish = (namespace: string, topic: string, { value }: { value: Uint8Array }) => {
          // Only these are published here.
          const decoder = decoders[topic as keyof typeof decoders];
          events.push([namespace, topic, decoder.decode(value)]);
        };
        const service = new SnapshotsService({ stores, events: { publish } });
        const snapshots = inProcess(SnapshotsDefinition, service, { "containerd-namespace": "test" });
        await body({ snapshots, stores, root, events });
        await stores.of("test").snapshotter(snapshotter).settled();
      } finally {
        await Deno.remove(root, { recursive: true });
      }
    },
  });
}

const prepareOf = (key: string, parent = "") => PrepareSnapshotRequest.fromPartial({ snapshotter, key, parent });
const commitOf = (key: string, name: string) => CommitSnapshotRequest.fromPartial({ snapshotter, key, name });

test("prepare, commit and remove publish events; view and what fails do not", async ({ snapshots, events }) => {
  await snapshots.prepare(prepareOf("a"));
  await snapshots.commit(commitOf("a", "base"));
  await snapshots.prepare(prepareOf("b", "base"));
  await snapshots.view(ViewSnapshotRequest.fromPartial({ snapshotter, key: "v", parent: "base" }));
  await assert.rejects(snapshots.prepare(prepareOf("b")));
  await assert.rejects(snapshots.remove({ snapshotter, key: "base" }));
  await snapshots.update({ snapshotter, info: (await snapshots.stat({ snapshotter, key: "b" })).info, updateMask: [] });
  await snapshots.remove({ snapshotter, key: "v" });
  assert.deepEqual(events, [
    ["test", "/snapshot/prepare", { key: "a", parent: "", snapshotter }],
    ["test", "/snapshot/commit", { key: "a", name: "base", snapshotter }],
    ["test", "/snapshot/prepare", { key: "b", parent: "base", snapshotter }],
    ["test", "/snapshot/remove", { key: "v", snapshotter }],
  ]);
});

test("stat puts a committed snapshot under the caller's lease, which nothing else is", async ({ snapshots, stores }) => {
  const { leases } = stores.of("test");
  await leases.create("mine");
  await snapshots.prepare(prepareOf("a"));
  await snapshots.commit(commitOf("a", "base"));
  await snapshots.prepare(prepareOf("b", "base"));
  const stat = async (key: string, lease?: string) => {
    const metadata = lease === undefined ? {} : { "containerd-lease": lease };
    const { info } = await snapshots.stat({ snapshotter, key }, { metadata });
    return [info?.name, leases.resources("mine").map((resource) => resource.key)];
  };
  assert.deepEqual(await stat("base"), ["base", []]);
  // As containerd has it, which looks at no lease here.
  assert.deepEqual(await stat("base", "missing"), ["base", []]);
  assert.deepEqual(await stat("b", "mine"), ["b", []]);
  // Who unpacks an image looks for its lower layers, and builds on them.
  assert.deepEqual(await stat("base", "mine"), ["base", ["native/base"]]);
});

test("list gives batches of 100 in the order of names, of this namespace only", async ({ snapshots, stores }) => {
  const native = stores.of("test").snapshotter(snapshotter);
  const keys = Array.from({ length: 250 }, (_, index) => `key-${String(index * 7 % 250).padStart(3, "0")}`);
  await Promise.all(keys.map((key) => native.prepare(key, { labels: { key } })));
  await stores.of("other").snapshotter(snapshotter).prepare("key-elsewhere");
  await stores.of("test").snapshotter("overlayfs").prepare("key-other-snapshotter");
  const batches = await Array.fromAsync(snapshots.list({ snapshotter, filters: [] }));
  assert.deepEqual(batches.map(({ info }) => info.length), [100, 100, 50]);
  const listed = batches.flatMap(({ info }) => info);
  assert.deepEqual(listed.map(({ name }) => name), [...keys].sort());
  assert.ok(listed.every(({ name, labels }) => labels["key"] === name));
  const some = await Array.fromAsync(
    snapshots.list({ snapshotter, filters: ["name==key-003", "labels.key==key-249"] }),
  );
  assert.deepEqual(some.map(({ info }) => info.map(({ name }) => name)), [["key-003", "key-249"]]);
  assert.deepEqual(await Array.fromAsync(snapshots.list({ snapshotter, filters: ["kind==view"] })), []);
});

test("leases get what is made, what exists, and the name in place of the key", async ({ snapshots, stores }) => {
  const { leases } = stores.of("test");
  for (const id of ["mine", "another"]) await leases.create(id);
  const mine = { metadata: { "containerd-lease": "mine" } };
  const held = (id: string) => leases.resources(id).map(({ key }) => key);
  await snapshots.prepare(prepareOf("a"), mine);
  await assert.rejects(
    snapshots.prepare(prepareOf("a"), { metadata: { "containerd-lease": "another" } }),
    (error) => isFailure(error, "AlreadyExists"),
  );
  assert.deepEqual([held("mine"), held("another")], [["native/a"], ["native/a"]]);
  await snapshots.commit(commitOf("a", "base"), mine);
  assert.deepEqual([held("mine"), held("another")], [["native/base"], []]);
  const target = { ...prepareOf("b"), labels: { "containerd.io/snapshot.ref": "base" } };
  await assert.rejects(
    snapshots.prepare(target, { metadata: { "containerd-lease": "another" } }),
    (error) => isFailure(error, "AlreadyExists") && error.message === `target snapshot "base"`,
  );
  assert.deepEqual(held("another"), ["native/base"]);
  await assert.rejects(
    snapshots.prepare(prepareOf("c"), { metadata: { "containerd-lease": "none" } }),
    (error) => isFailure(error, "NotFound"),
  );
  await assert.rejects(snapshots.stat({ snapshotter, key: "c" }), (error) => isFailure(error, "NotFound"));
});

test("commit puts a snapshot without parent onto one, and does not mind one that has a parent", async ({ snapshots }) => {
  const overlay = { snapshotter: "overlayfs" };
  const prepare = (key: string, parent = "") => snapshots.prepare({ ...prepareOf(key, parent), ...overlay });
  const commit = (key: string, name: string, parent = "") =>
    snapshots.commit({ ...commitOf(key, name), ...overlay, parent });
  const parentOf = async (key: string) => (await snapshots.stat({ ...overlay, key })).info?.parent;
  for (const key of ["a", "b", "c"]) await prepare(key);
  await commit("a", "base");
  await commit("b", "top", "base");
  assert.equal(await parentOf("top"), "base");
  await assert.rejects(commit("c", "x", "none"), (error) => isFailure(error, "NotFound"));
  await assert.rejects(commit("c", "x", "c"), (error) => isFailure(error, "FailedPrecondition"));
  await prepare("d", "base");
  await commit("d", "still on base", "top");
  assert.equal(await parentOf("still on base"), "base");
});

test("remove answers at once, and cleanup waits for the files", async ({ snapshots, root }) => {
  const [mount] = (await snapshots.prepare(prepareOf("a"))).mounts;
  for (let index = 0; index < 50; index++) await Deno.writeTextFile(`${mount!.source}/${index}`, "");
  await snapshots.remove({ snapshotter, key: "a" });
  await assert.rejects(Deno.lstat(mount!.source), Deno.errors.NotFound);
  await snapshots.cleanup({ snapshotter });
  assert.deepEqual([...Deno.readDirSync(`${root}/trash`)], []);
});

test("a label that is too long is refused, also by update", async ({ snapshots }) => {
  const long = { key: "v".repeat(4096) };
  const refused = (error: unknown) =>
    isFailure(error, "InvalidArgument") && error.message.startsWith("info.Labels: label");
  await assert.rejects(snapshots.prepare({ ...prepareOf("a"), labels: long }), refused);
  await snapshots.prepare(prepareOf("a"));
  const { info } = await snapshots.stat({ snapshotter, key: "a" });
  await assert.rejects(
    snapshots.update({ snapshotter, info: { ...info!, labels: long }, updateMask: undefined }),
    refused,
  );
  assert.deepEqual((await snapshots.stat({ snapshotter, key: "a" })).info!.labels, labels);
});
