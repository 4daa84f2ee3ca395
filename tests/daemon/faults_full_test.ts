/**
 * A disk that is full to the last byte is brought back by deletions and a collection, without a hand on the files.
 *
 * @module
 */
import assert from "node:assert/strict";
import { barge, execute, succeed, systemTest } from "../command.ts";
import { makeScratch, type Scratch } from "../scratch.ts";
import { containerOf, DaemonClient, imageOf } from "./daemon_client.ts";
import { BargeRun, writeBusyboxLayout } from "../images.ts";
import { debris } from "./faults_root.ts";
import { spawnDaemon, startDaemon, type TestDaemon } from "./daemon_fixture.ts";

/** Makes a small disk of one kind for the daemon's root. */
type Disk = (scratch: Scratch, root: string) => Promise<void>;

const disks: Readonly<Record<string, { readonly programs: readonly string[]; readonly make: Disk }>> = {
  tmpfs: {
    programs: [],
    make: async (_, root) => void await succeed(["mount", "-t", "tmpfs", "-o", "size=24m", "barge-test", root]),
  },
  ext4: {
    programs: ["mkfs.ext4"],
    make: async (scratch, root) => {
      const image = `${scratch.path}/disk`;
      {
        using file = await Deno.open(image, { write: true, create: true });
        await file.truncate(32 << 20);
      }
      await succeed(["mkfs.ext4", "-q", "-m", "0", image]);
      await succeed(["mount", "-o", "loop", image, root]);
    },
  },
};

/** Bytes of the blob that is deleted in the end. */
const blobBytes = 6 << 20;

/** Takes what the disk has left, to the last byte, also what others have given back since the last time. */
function fill(root: string): void {
  using file = Deno.openSync(`${root}/filler`, { append: true, create: true });
  for (const bytes of [1 << 16, 4096, 1]) {
    assert.throws(() => {
      for (;;) file.writeSync(new Uint8Array(bytes));
    }, /No space left/);
  }
}

const blobs = (root: string) => [...Deno.readDirSync(`${root}/io.containerd.content.v1.content/blobs/sha256`)];

/** Stores an image of a big blob that nothing else keeps, and fills the disk. */
async function fillByImage(daemon: TestDaemon): Promise<void> {
  using client = new DaemonClient(daemon.address);
  const digest = await client.putBlob(new Uint8Array(blobBytes).fill(7));
  await client.putImage("big", digest);
  await client.content.update({
    info: { digest, size: 0, labels: {}, createdAt: undefined, updatedAt: undefined },
    updateMask: ["labels"],
  });
  for (let index = 0; index < 20; index++) await client.putImage(`small-${index}`, digest);
  await client.snapshots.prepare({ snapshotter: "overlayfs", key: "loose", parent: "", labels: {} });
  fill(daemon.root);
}

/** Checks that the daemon stores nothing more, and says why. */
async function assertFull(client: DaemonClient): Promise<void> {
  const container = containerOf("new");
  container.spec!.value = new Uint8Array(1 << 20);
  await assert.rejects(client.containers.create({ container }), /no space left on the disk that holds/);
  const labels = { big: "x".repeat(4000) };
  for (let index = 0;; index++) {
    try {
      await client.images.create({
        image: imageOf(`new-${index}`, `sha256:${"0".repeat(64)}`, labels),
        sourceDateEpoch: undefined,
      });
    } catch (error) {
      return assert.match(String(error), /no space left on the disk that holds/);
    }
    assert(index < 5_000, "the disk is not full");
  }
}

/** Removes the images by stock ctr, collects, and checks that everything works again. */
async function bringBack(daemon: TestDaemon): Promise<void> {
  const names = (await daemon.ask("images", "ls", "-q")).trim().split("\n");
  for (let start = 0; start < names.length; start += 100) {
    await daemon.ask("images", "rm", ...names.slice(start, start + 100));
  }
  await succeed([...barge, "gc", "--root", daemon.root, "--address", daemon.address]);
  assert.deepEqual(blobs(daemon.root), []);
  using client = new DaemonClient(daemon.address);
  const digest = await client.putBlob(new Uint8Array(blobBytes / 2).fill(8));
  await client.putImage("after", digest);
  await client.snapshots.prepare({ snapshotter: "overlayfs", key: "after", parent: "", labels: {} });
}

for (const [kind, { programs, make }] of Object.entries(disks)) {
  const fullTest = (name: string, body: (scratch: Scratch, root: string) => Promise<void>) =>
    systemTest(`${name} (${kind})`, ["mount", "umount", "ctr", ...programs], async () => {
      await using scratch = await makeScratch();
      const root = `${scratch.path}/root`;
      await Deno.mkdir(root);
      await make(scratch, root);
      await body(scratch, root);
    });

  fullTest("barge daemon on a full disk deletes images and collects, again and again", async (scratch) => {
    await using daemon = await startDaemon({ directory: scratch.path });
    for (let round = 0; round < 3; round++) {
      await fillByImage(daemon);
      using client = new DaemonClient(daemon.address);
      await assertFull(client);
      await bringBack(daemon);
      await client.images.delete({ name: "after", sync: true });
      for (const { name } of blobs(daemon.root)) await client.content.delete({ digest: `sha256:${name}` });
      await Deno.truncate(`${daemon.root}/filler`);
    }
    await daemon.stop();
  });

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    fullTest(`barge daemon starts on a full disk after ${signal}, and is brought back`, async (scratch) => {
      {
        await using daemon = await startDaemon({ directory: scratch.path });
        await fillByImage(daemon);
        using client = new DaemonClient(daemon.address);
        await assertFull(client);
        await daemon.stop(signal);
      }
      fill(`${scratch.path}/root`);
      await using daemon = await startDaemon({ directory: scratch.path });
      assert.match(await daemon.ask("images", "ls", "-q"), /^big$/m);
      const other = await spawnDaemon({ directory: scratch.path });
      assert.equal((await other.ended()).code, 1);
      await bringBack(daemon);
      await daemon.stop();
      assert.deepEqual(debris(`${scratch.path}/root`), []);
    });
  }

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    fullTest(`barge gc, df and doctor work on a full disk after a daemon's ${signal}`, async (scratch, root) => {
      {
        await using daemon = await startDaemon({ directory: scratch.path });
        await fillByImage(daemon);
        for (const name of (await daemon.ask("images", "ls", "-q")).trim().split("\n")) {
          using client = new DaemonClient(daemon.address);
          await client.images.delete({ name, sync: false });
        }
        await daemon.stop(signal);
      }
      // Nothing that a deletion needs is there but what was kept for it.
      fill(root);
      await succeed([...barge, "df", "--root", root]);
      assert.equal((await execute([...barge, "doctor", "--root", root])).stdout, `${root}: nothing is wrong\n`);
      await succeed([...barge, "gc", "--dry-run", "--root", root]);
      await succeed([...barge, "gc", "--root", root]);
      assert.deepEqual(blobs(root), []);
      await using daemon = await startDaemon({ directory: scratch.path });
      using client = new DaemonClient(daemon.address);
      await client.putBlob(new Uint8Array(blobBytes / 2).fill(8));
      await daemon.stop();
    });
  }

  fullTest("barge run whose container fills the disk leaves nothing, and runs again", async (scratch) => {
    const run = new BargeRun(scratch);
    const layout = `${scratch.path}/layout`;
    await writeBusyboxLayout(layout, scratch);
    const image = `oci:${layout}:latest`;
    await run.succeed(["--quiet", image, "true"]);
    const before = await run.storeFiles();
    const fillAll =
      "cat /dev/zero >/a 2>/dev/null; for b in 4096 1; do dd if=/dev/zero bs=$b of=/b$b 2>/dev/null; done; echo end";
    for (let round = 0; round < 3; round++) {
      assert.equal(await run.succeed(["--quiet", image, "sh", "-c", fillAll]), "end\n");
      assert.deepEqual(await run.storeFiles(), before);
      assert.equal(await run.succeed(["--quiet", image, "echo", "again"]), "again\n");
    }
    // Somebody else's files fill it: what cannot be done is said, and nothing is left of the try.
    fill(run.root);
    const { code, stderr } = await run.execute(["--quiet", image, "true"]);
    // A tmpfs counts no directories: there it still goes.
    if (code !== 0) assert.match(stderr, /no space left on the disk that holds/);
    assert([0, 125].includes(code), `${code}`);
    await Deno.remove(`${run.root}/filler`);
    assert.deepEqual(await run.storeFiles(), before);
    assert.equal(await run.succeed(["--quiet", image, "echo", "again"]), "again\n");
    assert.deepEqual([scratch.cgroups(), scratch.processes()], [[], []]);
  });
}
