/** The daemon with its root on btrfs. */
import assert from "node:assert/strict";
import { btrfsProblem, withBtrfs } from "../snapshots/btrfs_fixture.ts";
import { startDaemon } from "./daemon_fixture.ts";

/** The first collection may come late on a busy machine; it takes ctr's views, which nothing keeps. */
const config = '[plugins."io.containerd.gc.v1.scheduler"]\nstartup_delay = "1h"\n';

Deno.test({
  name: `barge daemon keeps snapshots on btrfs where its root is there (${btrfsProblem ?? "runs here"})`,
  ignore: btrfsProblem !== undefined,
  fn: () =>
    withBtrfs(async (directory) => {
      const daemon = await startDaemon({ directory, config });
      try {
        const plugins = await daemon.ask("plugins", "ls");
        assert.match(plugins, /snapshotter\.v1 +btrfs +- +ok/);
        assert.match(plugins, /snapshotter\.v1 +zfs +- +skip/);
        const snapshots = ["snapshots", "--snapshotter", "btrfs"];
        const mountsOf = async (key: string) => await daemon.ask(...snapshots, "mounts", "/target", key);
        await daemon.ask(...snapshots, "prepare", "first");
        assert.match(await mountsOf("first"), /^mount -t btrfs \/dev\/\S+ \/target -o subvolid=\d+\n$/);
        await daemon.ask(...snapshots, "commit", "base", "first");
        await daemon.ask(...snapshots, "view", "seen", "base");
        assert.match(await mountsOf("seen"), /-o subvolid=\d+,ro\n$/);
        await daemon.ask(...snapshots, "rm", "seen", "base");
        assert.equal((await daemon.ask(...snapshots, "ls")).trim().split("\n").length, 1);
      } finally {
        await daemon.stop();
      }
    }),
});
