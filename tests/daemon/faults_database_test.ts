/**
 * The daemon's database is torn, and the doctor saves what can be read.
 *
 * @module
 */
import assert from "node:assert/strict";
import { barge, execute, systemTest } from "../command.ts";
import { makeScratch } from "../scratch.ts";
import { DaemonClient } from "./daemon_client.ts";
import { removeAll, spawnDaemon, startDaemon } from "./daemon_fixture.ts";

const metadataPart = "io.barge.metadata.v1.sqlite";
const pageBytes = 4096;

/** A way to lose a database, and how much of it is saved at least. */
interface Damage {
  readonly what: string;
  readonly tear: (path: string, pages: number) => void;
  /** Images that are named still after the repair, of 300. */
  readonly imagesMin: number;
  /** What the daemon says besides the doctor's name. */
  readonly says: RegExp;
}

function overwrite(path: string, from: number, count: number): void {
  using file = Deno.openSync(path, { write: true });
  file.seekSync(from, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array(count).fill(0x5a));
}

const damaged = /meta\.db\\?" is damaged \(.*\): stop the daemon/;

const damages: readonly Damage[] = [
  {
    what: "cut in half",
    tear: (path, pages) => Deno.truncateSync(path, Math.floor(pages / 2) * pageBytes),
    // The first pages of each table are there, and those that they lead to are in no order.
    imagesMin: 0,
    says: damaged,
  },
  {
    what: "without its last page",
    tear: (path, pages) => Deno.truncateSync(path, (pages - 1) * pageBytes),
    imagesMin: 250,
    says: damaged,
  },
  { what: "without its header", tear: (path) => overwrite(path, 0, 100), imagesMin: 300, says: damaged },
  { what: "without its first page", tear: (path) => overwrite(path, 0, pageBytes), imagesMin: 300, says: damaged },
  {
    what: "with garbage where two tables begin",
    tear: (path) => overwrite(path, 2 * pageBytes, 2 * pageBytes),
    imagesMin: 0,
    says: damaged,
  },
  { what: "that is text", tear: (path) => Deno.writeTextFileSync(path, "no database"), imagesMin: 0, says: damaged },
  {
    what: "of no bytes",
    tear: (path) => Deno.truncateSync(path, 0),
    imagesMin: 0,
    says: /is missing or empty, but there are blobs/,
  },
  {
    what: "that is gone",
    tear: (path) => Deno.removeSync(path),
    imagesMin: 0,
    says: /is missing or empty, but there are blobs/,
  },
];

for (const { what, tear, imagesMin, says } of damages) {
  systemTest(`barge daemon refuses a database ${what}, and the doctor saves what can be read`, [], async () => {
    await using scratch = await makeScratch();
    const directory = scratch.path;
    const root = `${directory}/root`;
    const path = `${root}/${metadataPart}/meta.db`;
    let digest: string;
    {
      await using first = await startDaemon({ directory });
      using client = new DaemonClient(first.address);
      digest = await client.putBlob("blob");
      await Promise.all(Array.from({ length: 300 }, (_, n) => client.putImage(`image-${n}`, digest)));
      await first.stop();
    }
    const whole = await Deno.readFile(path);
    tear(path, whole.length / pageBytes);
    const torn = await Deno.readFile(path).catch(() => undefined);
    await using refused = await spawnDaemon({ directory });
    assert.equal((await refused.ended()).code, 1);
    const last = refused.log.trimEnd().split("\n").at(-1)!;
    assert.match(last, /^containerd: .*barge doctor/);
    assert.match(last, says);

    const doctor = (...args: string[]) => execute([...barge, "doctor", "--root", root, ...args]);
    const found = await doctor();
    assert.equal(found.code, 1);
    assert.match(found.stdout, /^damaged database: /);
    const repaired = await doctor("--repair");
    assert.equal(repaired.code, 0, repaired.stderr);
    const asides = [...Deno.readDirSync(`${root}/${metadataPart}`)].map(({ name }) => name)
      .filter((name) => /damaged-[^-]+-[^-]+-[^-]+-[^-]+-[^-]+Z$/.test(name));
    if (torn === undefined) assert.deepEqual(asides, []);
    else assert.deepEqual(await Deno.readFile(`${root}/${metadataPart}/${asides[0]}`), torn);
    const names = [...Deno.readDirSync(`${root}/${metadataPart}`)].map(({ name }) => name);
    assert.deepEqual(names.filter((name) => /salvaged|reading/.test(name)), []);

    await using second = await startDaemon({ directory });
    using client = new DaemonClient(second.address);
    const { images } = await client.images.list({ filters: [] });
    assert(images.length >= imagesMin, `${images.length} images were saved`);
    // The blob is there with its row, or was set aside with the file's content.
    const blobs = (await Array.fromAsync(client.content.list({ filters: [] }))).flatMap(({ info }) => info);
    if (blobs.length > 0) assert.equal(new TextDecoder().decode(await client.getBlob(digest)), "blob");
    else assert.equal(await Deno.readTextFile(`${root}/set-aside/${digest.replace(":", "-")}`), "blob");
    // And it works again.
    const again = await client.putBlob("new");
    await client.putImage("new", again);
    await client.collect();
    await second.stop();
    await removeAll(`${directory}/state`);
  });
}

systemTest(
  "barge daemon that meets a torn page says DataLoss and names the doctor, and serves the rest",
  [],
  async () => {
    await using scratch = await makeScratch();
    const directory = scratch.path;
    {
      await using first = await startDaemon({ directory });
      using client = new DaemonClient(first.address);
      const digest = await client.putBlob("blob");
      await Promise.all(Array.from({ length: 300 }, (_, n) => client.putImage(`image-${n}`, digest)));
      await first.stop();
    }
    const path = `${directory}/root/${metadataPart}/meta.db`;
    const bytes = await Deno.readFile(path);
    // A leaf of the images' table, which is not looked at before somebody asks.
    const name = new TextEncoder().encode("image-");
    const isLeafOfImages = (page: Uint8Array) => page[0] === 10 && contains(page, name) && contains(page, mediaType);
    const leaf = Array.from({ length: bytes.length / pageBytes }, (_, page) => page)
      .findLast((page) => isLeafOfImages(bytes.subarray(page * pageBytes, (page + 1) * pageBytes)));
    assert(leaf !== undefined);
    overwrite(path, leaf * pageBytes, pageBytes);
    await using second = await startDaemon({ directory });
    using client = new DaemonClient(second.address);
    await assert.rejects(
      client.images.list({ filters: [] }),
      /meta\.db" is damaged .*: stop the daemon, and see with barge doctor/,
    );
    await client.version.version({});
    assert.equal((await Array.fromAsync(client.content.list({ filters: [] }))).length, 1);
    assert.equal((await second.stop()).code, 0);
  },
);

const mediaType = new TextEncoder().encode("vnd.oci.image");

function contains(bytes: Uint8Array, part: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(bytes).includes(new TextDecoder("latin1").decode(part));
}

systemTest("barge daemon does not mind garbage in the log of its database", [], async () => {
  await using scratch = await makeScratch();
  const directory = scratch.path;
  {
    await using first = await startDaemon({ directory });
    using client = new DaemonClient(first.address);
    await client.putImage("kept", await client.putBlob("blob"));
    await first.stop();
  }
  const path = `${directory}/root/${metadataPart}/meta.db`;
  await Deno.writeFile(`${path}-wal`, crypto.getRandomValues(new Uint8Array(60_000)));
  await using second = await startDaemon({ directory });
  using client = new DaemonClient(second.address);
  assert.equal((await client.images.list({ filters: [] })).images.length, 1);
});

systemTest("barge daemon that was killed has all it answered though the end of its log is torn", [], async () => {
  await using scratch = await makeScratch();
  const directory = scratch.path;
  await using first = await startDaemon({ directory });
  using client = new DaemonClient(first.address);
  const digest = await client.putBlob("blob");
  for (let n = 0; n < 20; n++) await client.putImage(`image-${n}`, digest);
  await first.stop("SIGKILL");
  const log = `${directory}/root/${metadataPart}/meta.db-wal`;
  // What a power cut makes of a write that was under way.
  using file = await Deno.open(log, { append: true });
  await file.write(crypto.getRandomValues(new Uint8Array(10_000)));
  await using second = await startDaemon({ directory });
  using other = new DaemonClient(second.address);
  assert.equal((await other.images.list({ filters: [] })).images.length, 20);
  // Without its last bytes, the last commits are lost, and the ones before are there.
  await other.putImage("last", digest);
  await second.stop("SIGKILL");
  await Deno.truncate(log, (await Deno.stat(log)).size - 2_000);
  await using third = await startDaemon({ directory });
  using again = new DaemonClient(third.address);
  assert((await again.images.list({ filters: [] })).images.length >= 19);
});
