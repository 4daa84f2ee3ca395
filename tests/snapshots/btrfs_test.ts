import assert from "node:assert/strict";
import { reasonAgainst } from "../../daemon/snapshots/availability.ts";
import { btrfsForm } from "../../daemon/snapshots/btrfs_form.ts";
import { names, snapshotterSuite, withSnapshotter } from "../../daemon/snapshots/snapshotter_suite.ts";
import { btrfsProblem, withBtrfs } from "./btrfs_fixture.ts";

snapshotterSuite("btrfs", btrfsForm, btrfsProblem, withBtrfs);

Deno.test({
  name: `reasonAgainst() says whether a directory is on btrfs (${btrfsProblem ?? "runs here"})`,
  ignore: btrfsProblem !== undefined,
  fn: () =>
    withBtrfs(async (directory) => {
      await Deno.mkdir(`${directory}/below`);
      assert.equal(await reasonAgainst("btrfs", `${directory}/below`), undefined);
    }),
});

Deno.test({
  name: `btrfs: usage() counts what differs from the parent, and remove() frees subvolumes (${
    btrfsProblem ?? "runs here"
  })`,
  ignore: btrfsProblem !== undefined,
  fn: () =>
    withBtrfs((place) =>
      withSnapshotter(btrfsForm, async ({ dir, snapshots }) => {
        await snapshots.prepare("a");
        await Deno.writeFile(`${await snapshots.layerDirectory("a")}/large`, new Uint8Array(1 << 20).fill(1));
        await snapshots.commit("a", "base");
        await snapshots.prepare("b", { parent: "base" });
        const directory = await snapshots.layerDirectory("b");
        await Deno.writeFile(`${directory}/small`, new Uint8Array(10_000).fill(1));
        assert.deepEqual(names(directory), ["large", "small"]);
        const { size, inodes } = await snapshots.usage("b");
        assert.ok(size < 100_000, `${size}`);
        // The file and the directory that has it.
        assert.equal(inodes, 2);
        assert.ok((await snapshots.usage("base")).size >= 1 << 20);
        // As docker in a container makes them.
        const { makeSubvolume } = await import("../../daemon/snapshots/btrfs_ioctl.ts");
        makeSubvolume(`${directory}/nested`);
        await Deno.writeTextFile(`${directory}/nested/file`, "");
        await snapshots.removeSoon("b");
        await snapshots.removeSoon("base");
        await snapshots.settled();
        assert.deepEqual([...names(`${dir}/snapshots`), ...names(`${dir}/trash`)], []);
      }, place)
    ),
});
