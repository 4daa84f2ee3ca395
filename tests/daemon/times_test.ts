/**
 * Times of a daemon, as clients' own suites compare them with their clock and with each other: of ours as it is installed,
 * and of the stock one.
 */
import assert from "node:assert/strict";
import { WriteAction } from "../../api/gen/services/content/v1/content.ts";
import { Info } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import { systemTest } from "../command.ts";
import { bytesOf, digestOf, WriteStream } from "../content/content_client.ts";
import { containerOf, DaemonClient, imageOf, kept } from "./daemon_client.ts";
import { type DaemonKind, removeAll, startDaemon, type TestDaemon } from "./daemon_fixture.ts";

interface Time {
  readonly seconds: number;
  readonly nanos: number;
}

interface Times {
  readonly createdAt?: Time | undefined;
  readonly updatedAt?: Time | undefined;
}

const us = ({ seconds, nanos }: Time) => seconds * 1_000_000 + Math.floor(nanos / 1000);
/** Both ends belong to it: ours are cut off as the daemon's are. */
const isBetween = (before: number, time: Time | undefined, after: number) =>
  time !== undefined && Math.round(before * 1000) <= us(time) && us(time) <= Math.round(after * 1000);
const nanosOf = (time: Time | undefined) => BigInt(time!.seconds) * 1_000_000_000n + BigInt(time!.nanos);

/** One sort of record, with the calls that tell its times. */
interface Kind {
  readonly name: string;
  create(): Promise<Times | undefined>;
  get?(): Promise<Times | undefined>;
  list(): Promise<Times | undefined>;
  update?(): Promise<Times | undefined>;
}

function kindsOf(client: DaemonClient): Kind[] {
  const { containers, images, leases, snapshots, content } = client;
  const digest = digestOf(bytesOf("blob"));
  const snapshot = async () => (await snapshots.stat({ snapshotter: "native", key: "s" })).info;
  const first = async <T, V>(messages: AsyncIterable<T>, find: (message: T) => V | undefined) => {
    let found: V | undefined;
    for await (const message of messages) found ??= find(message);
    return found;
  };
  const blob = async () => (await content.info({ digest })).info;
  return [
    {
      name: "container",
      create: async () => (await containers.create({ container: containerOf("c") })).container,
      get: async () => (await containers.get({ id: "c" })).container,
      list: async () => (await containers.list({ filters: [] })).containers.find(({ id }) => id === "c"),
      update: async () =>
        (await containers.update({ container: containerOf("c", { a: "b" }), updateMask: ["labels"] })).container,
    },
    {
      name: "image",
      create: async () =>
        (await images.create({ image: imageOf("i", digest, kept), sourceDateEpoch: undefined })).image,
      get: async () => (await images.get({ name: "i" })).image,
      list: async () => (await images.list({ filters: [] })).images.find(({ name }) => name === "i"),
      update: async () =>
        (await images.update({
          image: imageOf("i", digest, { ...kept, a: "b" }),
          updateMask: ["labels"],
          sourceDateEpoch: undefined,
        })).image,
    },
    {
      name: "lease",
      create: async () => (await leases.create({ id: "l", labels: {} })).lease,
      list: async () => (await leases.list({ filters: [] })).leases.find(({ id }) => id === "l"),
    },
    {
      name: "snapshot",
      create: async () => {
        await snapshots.prepare({ snapshotter: "native", key: "s", parent: "", labels: kept });
        return await snapshot();
      },
      get: snapshot,
      list: () =>
        first(
          snapshots.list({ snapshotter: "native", filters: [] }),
          ({ info }) => info.find(({ name }) => name === "s"),
        ),
      update: async () => {
        const info = Info.fromPartial({ name: "s", labels: { ...kept, a: "b" } });
        return (await snapshots.update({ snapshotter: "native", info, updateMask: ["labels"] })).info;
      },
    },
    {
      name: "blob",
      create: async () => {
        await client.putBlob("blob");
        return await blob();
      },
      get: blob,
      list: () => first(content.list({ filters: [] }), ({ info }) => info.find((one) => one.digest === digest)),
      update: async () =>
        (await content.update({
          info: { digest, size: 0, labels: { ...kept, a: "b" }, createdAt: undefined, updatedAt: undefined },
          updateMask: ["labels"],
        })).info,
    },
  ];
}

for (const kind of ["barge", "stock"] as const satisfies readonly DaemonKind[]) {
  const needed = kind === "stock" ? ["ctr", "containerd"] : ["ctr"];
  systemTest(
    `${kind}: a record has the time of its making, the same in each answer, and a later one of its change`,
    needed,
    async () => {
      await using daemon = await startDaemon({ kind });
      using client = new DaemonClient(daemon.address);
      const finer: string[] = [];
      for (const { name, create, get, list, update } of kindsOf(client)) {
        const before = wallTimeMs();
        const created = await create();
        assert(
          isBetween(before, created?.createdAt, wallTimeMs()),
          `${name}: ${JSON.stringify(created)} from ${before}`,
        );
        if (created!.createdAt!.nanos % 1_000_000 !== 0) finer.push(name);
        const { createdAt, updatedAt } = created!;
        const told = (times: Times | undefined) => ({ createdAt: times?.createdAt, updatedAt: times?.updatedAt });
        if (get !== undefined) assert.deepEqual(told(await get()), { createdAt, updatedAt }, name);
        const listed = told(await list());
        // containerd 1.6 lists blobs without the time of their change.
        const isUntold = kind === "stock" && name === "blob";
        assert.deepEqual(listed, { createdAt, updatedAt: isUntold ? listed.updatedAt : updatedAt }, name);
        if (update === undefined) continue;
        const begun = wallTimeMs();
        const updated = await update();
        assert.deepEqual(updated?.createdAt, createdAt, name);
        assert(isBetween(begun, updated?.updatedAt, wallTimeMs()), `${name}: ${JSON.stringify(updated)} from ${begun}`);
        assert(nanosOf(updated!.updatedAt) > nanosOf(updatedAt), name);
        if (get !== undefined) assert.deepEqual(told(await get()), told(updated), name);
      }
      // One in a thousand times is a whole millisecond.
      assert(finer.length >= 3, `only of ${finer.join(", ")} the time is finer than a millisecond`);
    },
  );

  systemTest(
    `${kind}: an unfinished write has the time of its last write, also when it is opened again`,
    needed,
    async () => {
      await using daemon = await startDaemon({ kind });
      using client = new DaemonClient(daemon.address);
      const { content } = client;
      const status = async () => (await content.status({ ref: "half" })).status!;
      const before = wallTimeMs();
      let last: Times & { startedAt?: Time | undefined };
      {
        await using stream = new WriteStream(content);
        await stream.say({ action: WriteAction.STAT, ref: "half" });
        const { startedAt } = await status();
        assert(isBetween(before, startedAt, wallTimeMs()), `${JSON.stringify(startedAt)} from ${before}`);
        const begun = wallTimeMs();
        await stream.say({ action: WriteAction.WRITE, ref: "half", data: bytesOf("half") });
        const written = (await stream.say({ action: WriteAction.STAT, ref: "half" }))!;
        assert(isBetween(begun, written.updatedAt, wallTimeMs()), `${JSON.stringify(written)} from ${begun}`);
        assert.deepEqual(written.startedAt, startedAt);
        last = { startedAt, updatedAt: written.updatedAt };
        await stream.end();
      }
      const now = await status();
      assert.deepEqual({ startedAt: now.startedAt, updatedAt: now.updatedAt }, last);
      await using again = new WriteStream(content);
      const { startedAt, updatedAt } = (await again.say({ action: WriteAction.STAT, ref: "half" }))!;
      assert.deepEqual({ startedAt, updatedAt }, last);
      await again.end();
    },
  );
}

/** As Go writes times: without zeros at the end. */
function goText({ seconds, nanos }: Time): string {
  const fraction = String(nanos).padStart(9, "0").replace(/0+$/, "");
  return new Date(seconds * 1000).toISOString().replace(/\.000Z$/, fraction === "" ? "Z" : `.${fraction}Z`);
}

systemTest("ctr shows the times of a daemon to the microsecond, also those of the daemon before", ["ctr"], async () => {
  const directory = await Deno.makeTempDir({ prefix: "barge-times-" });
  try {
    const texts: string[] = [];
    const shown = (daemon: TestDaemon) =>
      Promise.all(texts.map(async (_, n) => JSON.parse(await daemon.ask("containers", "info", `c${n}`)).CreatedAt));
    {
      await using daemon = await startDaemon({ directory });
      using client = new DaemonClient(daemon.address);
      for (const id of ["c0", "c1", "c2"]) {
        const { container } = await client.containers.create({ container: containerOf(id) });
        texts.push(goText(container!.createdAt!));
      }
      assert.deepEqual(await shown(daemon), texts);
      // One in a thousand is a whole millisecond.
      assert(texts.some((text) => /\.\d{4,6}Z$/.test(text)), texts.join(" "));
    }
    await using next = await startDaemon({ directory });
    assert.deepEqual(await shown(next), texts);
  } finally {
    await removeAll(directory);
  }
});
