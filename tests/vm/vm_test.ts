/**
 * The tests in the virtual machine. All of them share one, which boots once; each is a step.
 *
 * To add one: a {@link Case} in a file of `cases/`, listed here. Case by case: `BARGE_VM=WORD deno test -A tests/vm` runs
 * those whose name has the word in it. By hand: `deno task vm -- COMMAND…` boots a machine, runs the command there and
 * shows its output; without a command it reads shell text from standard input and runs that.
 *
 * @module
 */
import { needing } from "../peers.ts";
import type { Case } from "./case.ts";
import { apparmorCases } from "./cases/apparmor.ts";
import { checkpointCases } from "./cases/checkpoint.ts";
import { containerdCases } from "./cases/containerd.ts";
import { rootlessCases } from "./cases/rootless.ts";
import { runtimeCases } from "./cases/runtimes.ts";
import { runtimeFiles } from "./cases/runtime_files.ts";
import { systemdCases } from "./cases/systemd.ts";
import { missingImage } from "./build_image.ts";
import { bootMachine } from "./machine.ts";
import { notWanted, runCases } from "./wanted.ts";

const cases: readonly Case[] = [
  ...runtimeCases,
  ...apparmorCases,
  ...containerdCases,
  ...checkpointCases,
  ...systemdCases,
  ...rootlessCases,
  ...runtimeFiles,
];

Deno.test({
  ...needing("in a virtual machine with cgroup version 2, systemd and AppArmor", {
    peers: ["qemu-system-x86", "debootstrap", "busybox-static", "e2fsprogs", "util-linux"],
    root: true,
    // Making the image may take long.
    other: notWanted() ?? await missingImage() ?? notWanted(),
  }),
  // The readers of QEMU's output may end a little later than the test.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(test) {
    await using machine = await bootMachine();
    await runCases(test, machine, cases);
  },
});
