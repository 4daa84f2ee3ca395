/**
 * The daemon's disk is full, or becomes read-only.
 *
 * @module
 */
import assert from "node:assert/strict";
import { WriteAction } from "../../api/gen/services/content/v1/content.ts";
import { succeed, systemTest } from "../command.ts";
import { digestOf, WriteStream } from "../content/content_client.ts";
import { makeScratch } from "../scratch.ts";
import { containerOf, DaemonClient, fails, imageOf, kept } from "./daemon_client.ts";
import { spawnDaemon, startDaemon, type TestDaemon } from "./daemon_fixture.ts";

const snapshotter = "overlayfs";
const full = /no space left on the disk/;
const readOnly = /read-only file system/;

/** Runs the body with a daemon whose root is a disk of 8 MiB. */
async function onSmallDisk(body: (daemon: TestDaemon) => Promise<void>): Promise<void> {
  await using scratch = await makeScratch();
  const root = `${scratch.path}/root`;
  await Deno.mkdir(root);
  await succeed(["mount", "-t", "tmpfs", "-o", "size=8m", "barge-test", root]);
  await using daemon = await startDaemon({ directory: scratch.path });
  await body(daemon);
  await daemon.stop();
}

/** Every way to make something; each must say what is in the way. */
function mutations(client: DaemonClient, digest: string): Readonly<Record<string, () => Promise<unknown>>> {
  const big = "x".repeat(60_000);
  return {
    "an image": () => client.images.create({ image: imageOf("new", digest), sourceDateEpoch: undefined }),
    "a container": () => {
      const container = containerOf("new");
      container.spec!.value = new TextEncoder().encode(big);
      return client.containers.create({ container });
    },
    "a lease": () => client.leases.create({ id: "new", labels: { big } }),
    "a snapshot": () => client.snapshots.prepare({ snapshotter, key: "new", parent: "", labels: kept }),
    "a namespace": () => client.namespaces.create({ namespace: { name: "new", labels: {} } }),
    "a blob": () => client.putBlob(crypto.getRandomValues(new Uint8Array(50_000))),
  };
}

async function checkReads(client: DaemonClient, digest: string): Promise<void> {
  assert.equal(new TextDecoder().decode(await client.getBlob(digest)), "before");
  assert.deepEqual((await client.images.list({ filters: [] })).images.map(({ name }) => name), ["before"]);
  assert.equal((await client.snapshots.mounts({ snapshotter, key: "before" })).mounts.length, 1);
  assert((await client.namespaces.list({ filter: "" })).namespaces.length > 0);
}

async function makeObjects(client: DaemonClient): Promise<string> {
  const digest = await client.putBlob("before");
  await client.putImage("before", digest);
  await client.snapshots.prepare({ snapshotter, key: "before", parent: "", labels: kept });
  return digest;
}

systemTest(
  "barge daemon on a full disk says so, reads on, and works again when there is room",
  ["mount", "umount"],
  () =>
    onSmallDisk(async (daemon) => {
      using client = new DaemonClient(daemon.address);
      const digest = await makeObjects(client);
      const data = new Uint8Array(1 << 20).fill(1);
      await using stream = new WriteStream(client.content);
      await fails(
        (async () => {
          for (let offset = 0;; offset += data.length) {
            await stream.say({ action: WriteAction.WRITE, ref: "big", offset, data });
          }
        })(),
        "ResourceExhausted",
        full,
      );
      // The rest of the disk, to the last byte.
      using file = await Deno.open(`${daemon.root}/filler`, { write: true, create: true });
      assert.throws(() => {
        for (;;) file.writeSync(new Uint8Array(4096));
      }, /No space left/);
      await checkReads(client, digest);
      let refused = 0;
      for (const [what, make] of Object.entries(mutations(client, digest))) {
        try {
          await make();
        } catch (error) {
          refused++;
          await fails(Promise.reject(error), "ResourceExhausted", full).catch((cause) => {
            throw new Error(`making ${what}`, { cause });
          });
        }
      }
      // Small ones may find room in pages that are there already.
      assert(refused >= 3, `${refused} were refused`);
      await daemon.ask("images", "ls");
      // What was begun can be thrown away without any room, and makes some.
      await client.content.abort({ ref: "big" });
      await Deno.remove(`${daemon.root}/filler`);
      for (const name of ["image", "container", "lease"]) {
        const after = { name: `after-${name}`, id: `after-${name}` };
        if (name === "image") await client.putImage(after.name, digest);
        else if (name === "container") await client.containers.create({ container: containerOf(after.id) });
        else await client.leases.create({ id: after.id, labels: {} });
      }
      const later = await client.putBlob("after");
      assert.equal(new TextDecoder().decode(await client.getBlob(later)), "after");
      await client.snapshots.prepare({ snapshotter, key: "after", parent: "", labels: kept });
      await client.collect();
      assert.deepEqual([...Deno.readDirSync(`${daemon.root}/trash`)], []);
    }),
);

systemTest(
  "barge daemon whose disk is full is removed from and collected",
  ["mount", "umount"],
  () =>
    onSmallDisk(async (daemon) => {
      using client = new DaemonClient(daemon.address);
      const digest = await client.putBlob(new Uint8Array(2 << 20).fill(7));
      await client.putImage("big", digest);
      using file = await Deno.open(`${daemon.root}/filler`, { write: true, create: true });
      assert.throws(() => {
        for (;;) file.writeSync(new Uint8Array(4096));
      }, /No space left/);
      // What a deletion needs of the disk was kept for it.
      await client.images.delete({ name: "big", sync: false });
      await client.content.delete({ digest });
      await client.collect();
      await fails(client.content.info({ digest }), "NotFound", new RegExp(digest));
      assert.deepEqual([...Deno.readDirSync(`${daemon.root}/io.containerd.content.v1.content/blobs/sha256`)], []);
    }),
);

systemTest(
  "barge daemon whose disk becomes read-only says so, reads on, and works again afterwards",
  ["mount", "umount"],
  () =>
    onSmallDisk(async (daemon) => {
      using client = new DaemonClient(daemon.address);
      const digest = await makeObjects(client);
      // A disk with open files cannot be remounted, but as a read-only one mounted over it.
      await succeed(["mount", "--bind", daemon.root, daemon.root]);
      await succeed(["mount", "-o", "remount,bind,ro", daemon.root]);
      await checkReads(client, digest);
      await fails(client.putBlob("new"), "FailedPrecondition", readOnly);
      await fails(client.content.delete({ digest }), "FailedPrecondition", readOnly);
      await fails(
        client.snapshots.prepare({ snapshotter, key: "new", parent: "", labels: {} }),
        "FailedPrecondition",
        readOnly,
      );
      await checkReads(client, digest);
      await succeed(["umount", daemon.root]);
      const after = await client.putBlob("after");
      assert.equal(digestOf(await client.getBlob(after)), after);
      await client.snapshots.prepare({ snapshotter, key: "after", parent: "", labels: kept });
    }),
);

systemTest("barge daemon does not start on a read-only root, and says why", ["mount", "umount"], async () => {
  await using scratch = await makeScratch();
  const root = `${scratch.path}/root`;
  await Deno.mkdir(root);
  await succeed(["mount", "-t", "tmpfs", "-o", "size=8m", "barge-test", root]);
  const check = async () => {
    await succeed(["mount", "-o", "remount,ro", root]);
    await using daemon = await spawnDaemon({ directory: scratch.path });
    assert.equal((await daemon.ended()).code, 1);
    const last = daemon.log.trimEnd().split("\n").at(-1)!;
    assert.match(last, new RegExp(`^containerd: .*"${root}.*" is on a read-only file system`));
  };
  await check();
  await succeed(["mount", "-o", "remount,rw", root]);
  {
    await using daemon = await startDaemon({ directory: scratch.path });
    await daemon.stop();
  }
  await check();
});

systemTest("barge daemon does not start on a full root, and says why", ["mount", "umount"], async () => {
  await using scratch = await makeScratch();
  const root = `${scratch.path}/root`;
  await Deno.mkdir(root);
  await succeed(["mount", "-t", "tmpfs", "-o", "size=64k", "barge-test", root]);
  await using daemon = await spawnDaemon({ directory: scratch.path });
  assert.equal((await daemon.ended()).code, 1);
  assert.match(daemon.log.trimEnd().split("\n").at(-1)!, /^containerd: .*no space left on the disk that holds/);
  await succeed(["mount", "-o", "remount,size=8m", root]);
  await using again = await startDaemon({ directory: scratch.path });
  await again.ask("version");
});

/** Makes ext4 refuse everything, as it does after an error of its disk (EXT4_IOC_SHUTDOWN, without writing the log). */
const shutDown = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))
`;

systemTest(
  "barge daemon whose disk fails says so, answers on, and has what it answered after the next start",
  ["mount", "umount", "mkfs.ext4", "python3"],
  async () => {
    await using scratch = await makeScratch();
    const [root, image] = [`${scratch.path}/root`, `${scratch.path}/disk`];
    await Deno.mkdir(root);
    {
      using file = await Deno.open(image, { write: true, create: true });
      await file.truncate(64 << 20);
    }
    await succeed(["mkfs.ext4", "-q", image]);
    await succeed(["mount", "-o", "loop", image, root]);
    let digest: string;
    {
      await using daemon = await startDaemon({ directory: scratch.path });
      using client = new DaemonClient(daemon.address);
      digest = await makeObjects(client);
      await succeed(["python3", "-c", shutDown, root]);
      const broken = /the disk that holds ".*" fails \(input\/output error\)/;
      await assert.rejects(client.putImage("new", digest), broken);
      await assert.rejects(client.putBlob("new"), broken);
      // What SQLite reads by then may make no sense to it either.
      await assert.rejects(client.content.delete({ digest }), /fails \(input\/output error\)|meta\.db" is damaged/);
      await client.version.version({});
      await daemon.stop();
      assert.doesNotMatch(daemon.log, /Uncaught|unhandled/i);
    }
    await succeed(["umount", root]);
    // A copy: whoever has a mount namespace that is a copy of this one's keeps the broken file system there for a while.
    await succeed(["cp", "--sparse=always", image, `${image}-again`]);
    await succeed(["mount", "-o", "loop", `${image}-again`, root]);
    await using daemon = await startDaemon({ directory: scratch.path });
    using client = new DaemonClient(daemon.address);
    assert.equal(new TextDecoder().decode(await client.getBlob(digest)), "before");
    assert.deepEqual((await client.images.list({ filters: [] })).images.map(({ name }) => name), ["before"]);
    await daemon.stop();
  },
);
