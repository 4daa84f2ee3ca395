/**
 * Blobs' files are cut, changed or gone below a running daemon.
 *
 * @module
 */
import assert from "node:assert/strict";
import { barge, execute, succeed, systemTest } from "../command.ts";
import { digestOf } from "../content/content_client.ts";
import { makeScratch } from "../scratch.ts";
import { startRegistry, tarOf, writeLayout } from "../registry.ts";
import { DaemonClient, fails } from "./daemon_client.ts";
import { startDaemon, type TestDaemon } from "./daemon_fixture.ts";

function fileOf(daemon: TestDaemon, digest: string): string {
  return `${daemon.root}/io.containerd.content.v1.content/blobs/${digest.replace(":", "/")}`;
}

/** Writes an image of one layer to `layout` in the directory. */
async function writeImage(directory: string): Promise<void> {
  const tree = `${directory}/tree`;
  await Deno.mkdir(tree);
  await Deno.writeTextFile(`${tree}/file`, "text");
  await writeLayout(`${directory}/layout`, [await tarOf(tree)]);
}

systemTest("barge daemon names a blob that is cut or gone, and takes it again from a client", [], async () => {
  await using daemon = await startDaemon();
  using client = new DaemonClient(daemon.address);
  const bytes = new Uint8Array(3 << 20).map((_, index) => index >> 9);
  const [cut, gone] = [bytes, bytes.subarray(1)];
  const digests = [await client.putBlob(cut), await client.putBlob(gone)] as const;
  await Deno.truncate(fileOf(daemon, digests[0]), 1 << 20);
  await Deno.remove(fileOf(daemon, digests[1]));
  // A cut one must never look like a whole one.
  await fails(client.getBlob(digests[0]), "DataLoss", new RegExp(digests[0]));
  await fails(client.getBlob(digests[1]), "NotFound", new RegExp(digests[1]));
  // Whoever writes what is there already is told so; not where that is broken.
  assert.equal(await client.putBlob(cut), digests[0]);
  assert.equal(await client.putBlob(gone), digests[1]);
  for (const digest of digests) assert.equal(digestOf(await client.getBlob(digest)), digest);
  // And a blob without a file can be deleted.
  await Deno.remove(fileOf(daemon, digests[0]));
  await client.content.delete({ digest: digests[0] });
  await fails(client.content.info({ digest: digests[0] }), "NotFound", new RegExp(digests[0]));
});

systemTest(
  "barge doctor names broken blobs of a daemon's root and repairs it, and the next pull fetches them",
  ["ctr", "docker-registry", "skopeo"],
  async () => {
    await using registry = await startRegistry();
    await using scratch = await makeScratch();
    const directory = scratch.path;
    await writeImage(directory);
    await registry.push(`oci:${directory}/layout`, "it");
    const name = `${registry.host}/it:latest`;
    const words = ["images", "pull", "--plain-http", name];
    const first = await startDaemon({ directory });
    let broken: readonly string[];
    try {
      await first.ask(...words);
      const lines = (await first.ask("content", "ls", "-q")).trim().split("\n");
      assert(lines.length >= 3, lines.join());
      broken = lines.slice(0, 2);
      await Deno.truncate(fileOf(first, broken[0]!), 1);
      await Deno.remove(fileOf(first, broken[1]!));
    } finally {
      await first.stop();
    }
    const doctor = (...args: string[]) => execute([...barge, "doctor", "--root", first.root, ...args]);
    const found = await doctor();
    assert.equal(found.code, 1);
    assert.match(found.stdout, new RegExp(`^truncated blob: blob ${broken[0]} in namespace "default"`, "m"));
    assert.match(found.stdout, new RegExp(`^missing blob: blob ${broken[1]} in namespace "default"`, "m"));
    await succeed([...barge, "doctor", "--root", first.root, "--repair"]);
    await using second = await startDaemon({ directory });
    await second.ask(...words);
    for (const digest of broken) {
      assert.equal(digestOf(await Deno.readFile(fileOf(second, digest))), digest);
    }
    assert.equal((await doctor("--hash")).stdout, `${first.root}: nothing is wrong\n`);
    await second.stop();
  },
);

systemTest(
  "barge daemon heals a broken image by a pull alone, without the doctor",
  ["ctr", "docker-registry", "skopeo"],
  async () => {
    await using registry = await startRegistry();
    await using daemon = await startDaemon();
    await writeImage(daemon.directory);
    await registry.push(`oci:${daemon.directory}/layout`, "it");
    const words = ["images", "pull", "--plain-http", `${registry.host}/it:latest`];
    await daemon.ask(...words);
    const digests = (await daemon.ask("content", "ls", "-q")).trim().split("\n");
    for (const [index, digest] of digests.entries()) {
      if (index % 2 === 0) await Deno.remove(fileOf(daemon, digest));
      else await Deno.truncate(fileOf(daemon, digest), 1);
    }
    await daemon.ask(...words);
    for (const digest of digests) assert.equal(digestOf(await Deno.readFile(fileOf(daemon, digest))), digest);
  },
);
