import assert from "node:assert/strict";
import { nativeForm } from "./native_form.ts";
import { makeOverlayForm, overlayForm } from "./overlay_form.ts";
import { overlayProblem } from "./overlay_probe.ts";
import { command, names, snapshotterSuite, withSnapshotter } from "./snapshotter_suite.ts";

const needsRoot = Deno.uid() === 0 ? undefined : "needs root";
const overlayReason = needsRoot ?? await overlayProblem(await Deno.realPath("/tmp"));

snapshotterSuite("overlayfs", overlayForm, overlayReason);
snapshotterSuite(
  "overlayfs with settings",
  makeOverlayForm({ mountOptions: ["volatile"], upperdirLabel: true, slowChown: true }),
  overlayReason,
);
snapshotterSuite("native", nativeForm, needsRoot);

Deno.test({
  name: `overlayfs: mounts are spelled as containerd spells them (${overlayReason ?? "runs here"})`,
  ignore: overlayReason !== undefined,
  fn: () =>
    withSnapshotter(overlayForm, async ({ dir, snapshots }) => {
      assert.deepEqual(await snapshots.prepare("a"), [
        { type: "bind", source: `${dir}/snapshots/1/fs`, options: ["rw", "rbind"] },
      ]);
      await snapshots.commit("a", "one");
      const over = `workdir=${dir}/snapshots/2/work,upperdir=${dir}/snapshots/2/fs,lowerdir=${dir}/snapshots/1/fs`;
      const [mount] = await snapshots.prepare("b", { parent: "one" });
      assert.equal(mount!.options.join(",").replace(/,(index=off|userxattr)/g, ""), over);
      await snapshots.commit("b", "two");
      const [view] = await snapshots.view("c", { parent: "two" });
      assert.equal(view!.options[0], `lowerdir=${dir}/snapshots/2/fs:${dir}/snapshots/1/fs`);
    }),
});

Deno.test({
  name: `overlayProblem() says the same in every place of a disk and leaves nothing in any (${
    needsRoot ?? "runs here"
  })`,
  ignore: needsRoot !== undefined,
  fn: async () => {
    const dir = await Deno.makeTempDir({ prefix: "barge-probe-" });
    try {
      assert.equal(await overlayProblem(dir), overlayReason);
      await command("mount", "-t", "ramfs", "barge-test", dir);
      try {
        // An overlay's upper layer must know extended attributes or at least whiteouts; whatever it says, it leaves nothing.
        await overlayProblem(dir);
        assert.deepEqual(names(dir), []);
      } finally {
        await command("umount", dir);
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
