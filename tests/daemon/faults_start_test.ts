/**
 * What a daemon finds when it starts that should not be there, and how one ends in the middle of work.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { barge, execute, systemTest } from "../command.ts";
import { WriteStream } from "../content/content_client.ts";
import { WriteAction } from "../../api/gen/services/content/v1/content.ts";
import { makeScratch } from "../scratch.ts";
import { DaemonClient, imageOf } from "./daemon_client.ts";
import { spawnDaemon, startDaemon, type TestDaemon } from "./daemon_fixture.ts";

const blobFiles = (
  { root }: TestDaemon,
) => [...Deno.readDirSync(`${root}/io.containerd.content.v1.content/blobs/sha256`)];
const lastLine = (daemon: TestDaemon) => daemon.log.trimEnd().split("\n").at(-1)!;

systemTest(
  "barge daemon refuses another one's root though nothing else is shared, and does not harm it",
  [],
  async () => {
    await using daemon = await startDaemon();
    using client = new DaemonClient(daemon.address);
    const digest = await client.putBlob("kept");
    await using other = await spawnDaemon({ args: ["--root", daemon.root] });
    assert.equal((await other.ended()).code, 1);
    assert.match(lastLine(other), new RegExp(`^containerd: use root "${daemon.root}": a daemon of barge runs on it`));
    assert.throws(() => Deno.lstatSync(other.address), Deno.errors.NotFound);
    assert.equal(new TextDecoder().decode(await client.getBlob(digest)), "kept");
    await client.putBlob("more");
    // The doctor and the collector of the command line do not work under it either.
    const repair = await execute([...barge, "gc", "--root", daemon.root]);
    assert.notEqual(repair.code, 0);
    assert.match(repair.stderr, /a daemon of barge runs on it/);
    assert.equal((await daemon.stop()).code, 0);
  },
);

systemTest("barge daemon does not remove a file that lies where its socket should be", [], async () => {
  for (const name of ["c.sock", "c.sock.ttrpc"]) {
    await using scratch = await makeScratch();
    const path = `${scratch.path}/${name}`;
    await Deno.writeTextFile(path, "somebody's");
    await using daemon = await spawnDaemon({ directory: scratch.path });
    assert.equal((await daemon.ended()).code, 1);
    assert.equal(
      lastLine(daemon),
      `containerd: listen on "${path}": something else than a socket lies there: remove it`,
    );
    assert.equal(await Deno.readTextFile(path), "somebody's");
  }
});

systemTest("barge daemon does not start where its socket's place or root is no directory", [], async () => {
  await using scratch = await makeScratch();
  await Deno.writeTextFile(`${scratch.path}/file`, "");
  for (const args of [["--address", `${scratch.path}/file/c.sock`], ["--root", `${scratch.path}/file`]]) {
    await using daemon = await spawnDaemon({ args });
    assert.equal((await daemon.ended()).code, 1, daemon.log);
    assert.match(lastLine(daemon), new RegExp(`^containerd: .*${scratch.path}/file`));
  }
});

systemTest("barge daemon takes the place of a killed one whose socket lies there, also at once", [], async () => {
  await using scratch = await makeScratch();
  const directory = scratch.path;
  let daemon = await startDaemon({ directory });
  try {
    for (let round = 0; round < 3; round++) {
      using client = new DaemonClient(daemon.address);
      await client.putBlob(`blob ${round}`);
      daemon = await daemon.restart("SIGKILL");
      // The same client, which finds the new daemon by itself.
      assert.equal((await Array.fromAsync(client.content.list({ filters: [] })))[0]!.info.length, round + 1);
    }
  } finally {
    await daemon[Symbol.asyncDispose]();
  }
});

systemTest("barge daemon ends on SIGTERM while streams run, and what was written is resumed", [], async () => {
  await using scratch = await makeScratch();
  const directory = scratch.path;
  const first = await startDaemon({ directory });
  await using _first = first;
  using client = new DaemonClient(first.address);
  const events = Array.fromAsync(client.events.subscribe({ filters: [] })).then(
    () => undefined,
    (error: unknown) => error,
  );
  const data = new Uint8Array(1 << 20).fill(3);
  await using stream = new WriteStream(client.content);
  await stream.say({ action: WriteAction.WRITE, ref: "long", data });
  const began = performance.now();
  assert.equal((await first.stop()).code, 0);
  assert(performance.now() - began < 8_000, "streams are not waited for for ever");
  const ended = await events;
  assert(ended === undefined || ended instanceof Failure, String(ended));
  await using second = await startDaemon({ directory });
  using other = new DaemonClient(second.address);
  const { status } = await other.content.status({ ref: "long" });
  assert.equal(status?.offset, data.length);
});

systemTest("barge daemon that is killed while it collects garbage has kept the rest, and collects it", [], async () => {
  await using scratch = await makeScratch();
  const directory = scratch.path;
  // Collections only where they are asked for.
  const config = `[plugins."io.containerd.gc.v1.scheduler"]\nmutation_threshold = 0\nstartup_delay = "1h"\n`;
  let daemon = await startDaemon({ directory, config });
  const expired = { "containerd.io/gc.expire": "2020-01-01T00:00:00Z" };
  let met = 0;
  try {
    for (const delayMs of [0, 5, 15]) {
      using client = new DaemonClient(daemon.address);
      const keep = await client.putBlob(`keep ${delayMs}`);
      await client.putImage(`keep ${delayMs}`, keep);
      let next = 0;
      const make = async () => {
        while (next < 250) {
          const n = next++;
          const digest = await client.putBlob(`garbage ${delayMs} ${n}`);
          const image = imageOf(`garbage ${delayMs} ${n}`, digest, expired);
          await client.images.create({ image, sourceDateEpoch: undefined });
          // From now on only the image keeps it, which has expired.
          await client.content.update({
            info: { digest, size: 0, createdAt: undefined, updatedAt: undefined, labels: {} },
            updateMask: ["labels"],
          });
        }
      };
      await Promise.all(Array.from({ length: 16 }, make));
      const collecting = client.collect().catch((error: unknown) => assert(error instanceof Failure));
      const begun = blobFiles(daemon).length;
      while (blobFiles(daemon).length === begun) await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      daemon = await daemon.restart("SIGKILL");
      await collecting;
      using again = new DaemonClient(daemon.address);
      const left = (await again.images.list({ filters: [] })).images.filter(({ name }) => name.startsWith("garbage"));
      const blobs = (await Array.fromAsync(again.content.list({ filters: [] }))).flatMap(({ info }) => info);
      if (blobs.length > 10) met++;
      for (const { target } of left.slice(0, 5)) assert((await again.getBlob(target!.digest)).length > 0);
      await again.collect();
      const names = (await again.images.list({ filters: [] })).images.map(({ name }) => name);
      assert(names.every((name) => name.startsWith("keep")), names.join());
      assert.equal(new TextDecoder().decode(await again.getBlob(keep)), `keep ${delayMs}`);
      const doctor = await execute([...barge, "doctor", "--hash", "--root", daemon.root]);
      assert.equal(doctor.stdout, `${daemon.root}: nothing is wrong\n`);
    }
    console.log(`${met} of 3 kills met a collection in its middle`);
    assert.equal(blobFiles(daemon).length, 3);
    assert(met > 0);
  } finally {
    await daemon[Symbol.asyncDispose]();
  }
});
