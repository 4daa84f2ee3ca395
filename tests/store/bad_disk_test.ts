/**
 * A disk that does not give back what was written to it: btrfs knows by its checksums, and answers EIO.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Platform } from "../../api/oci/image_spec.ts";
import { archive } from "../../daemon/diff/archive_fixture.ts";
import { MemoryImage, MemorySource } from "../../daemon/images/image_fixture.ts";
import { pull } from "../../daemon/images/pull.ts";
import { openStores } from "../../daemon/store.ts";
import { barge, execute, succeed } from "../command.ts";
import { btrfsProblem, withBtrfs } from "../snapshots/btrfs_fixture.ts";

const platform: Platform = { os: "linux", architecture: "amd64" };

/** Digits that look otherwise in an archive, where they are compressed; btrfs keeps so many apart from the file's name. */
const noise = () => new TextEncoder().encode(crypto.getRandomValues(new Uint8Array(20_000)).toHex());

/** Changes the first place on the disk that has these bytes. */
async function flip(disk: string, bytes: Uint8Array): Promise<void> {
  const at = Buffer.from(await Deno.readFile(disk)).indexOf(bytes);
  assert.ok(at >= 0, "the bytes are not on the disk");
  using file = await Deno.open(disk, { write: true });
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(Uint8Array.of(bytes[0]! ^ 1));
}

Deno.test({
  name: `barge doctor --hash names what a bad disk cannot read, and goes on (${btrfsProblem ?? "runs here"})`,
  ignore: btrfsProblem !== undefined,
  fn: () =>
    withBtrfs(async (directory) => {
      const disk = `${directory}/../image`;
      const root = `${directory}/root`;
      const unreadable = noise();
      const image = new MemoryImage([
        archive({ name: "unreadable", data: unreadable }, { name: "good", data: "good" }),
        archive({ name: "other", data: noise() }),
      ]);
      {
        using stores = await openStores(root);
        const signal = AbortSignal.timeout(60_000);
        await pull(stores.of("default"), new MemorySource(image), { platform, snapshotter: "overlayfs", signal });
      }
      await succeed(["umount", directory]);
      await flip(disk, unreadable.subarray(8192, 8192 + 64));
      const layer = image.layers[1]!.digest;
      await flip(disk, image.blobs.get(layer)!.subarray(8192, 8192 + 64));
      await succeed(["mount", "-o", "loop", disk, directory]);
      const { code, stdout, stderr } = await execute([...barge, "doctor", "--hash", "--root", root]);
      assert.equal(code, 1, stderr);
      assert.match(
        stdout,
        new RegExp(`^corrupt blob: blob ${layer} in namespace "default": its file cannot be read: `, "m"),
      );
      assert.match(stdout, /^damaged snapshot: .*: a file is .*: "unreadable" cannot be read: input\/output error; /m);
      assert.match(stderr, /^barge doctor: 1 committed snapshot was not compared/);
      const repaired = await execute([...barge, "doctor", "--hash", "--repair", "--root", root]);
      assert.equal(repaired.code, 0, repaired.stderr);
    }),
});
