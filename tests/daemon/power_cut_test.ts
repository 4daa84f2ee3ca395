/**
 * The power is cut right after an image was unpacked: what is committed is whole.
 *
 * @module
 */
import assert from "node:assert/strict";
import { barge, execute, succeed, systemTest } from "../command.ts";
import { BargeRun, writeBusyboxLayout } from "../images.ts";
import { makeScratch } from "../scratch.ts";

/** Makes ext4 forget what is not on the disk yet (EXT4_IOC_SHUTDOWN, without writing the log). */
const cutPower = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))
`;

systemTest(
  "barge run's image is whole after a power cut that follows its pull at once",
  ["mount", "umount", "mkfs.ext4", "python3", "cp"],
  async () => {
    await using scratch = await makeScratch();
    const run = new BargeRun(scratch);
    const disk = `${scratch.path}/disk`;
    await Deno.mkdir(run.root);
    {
      using file = await Deno.open(disk, { write: true, create: true });
      await file.truncate(64 << 20);
    }
    await succeed(["mkfs.ext4", "-q", disk]);
    await succeed(["mount", "-o", "loop", disk, run.root]);
    const layout = `${scratch.path}/layout`;
    await writeBusyboxLayout(layout, scratch);
    const image = `oci:${layout}:latest`;
    assert.equal(await run.succeed(["--quiet", image, "echo", "before"]), "before\n");
    await succeed(["python3", "-c", cutPower, run.root]);
    // The mount stays where somebody has a copy of the mount namespace; what is on the disk by now is what counts.
    await succeed(["umount", "-l", run.root]);
    await succeed(["cp", "--sparse=always", disk, `${disk}-again`]);
    await succeed(["mount", "-o", "loop", `${disk}-again`, run.root]);
    const snapshots = `${run.root}/io.containerd.snapshotter.v1.overlayfs/snapshots`;
    const { stdout } = await execute(["find", snapshots, "-path", "*/fs/bin/*", "-type", "f", "-size", "0"]);
    assert.equal(stdout, "", "files of the image are empty");
    assert.equal(await run.succeed(["--quiet", "--pull", "never", image, "echo", "after"]), "after\n");
    const doctor = await execute([...barge, "doctor", "--hash", "--root", run.root]);
    assert.match(doctor.stdout, /nothing is wrong/);
  },
);
