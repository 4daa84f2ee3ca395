/**
 * The systemd driver in a virtual machine whose cgroups are of version 1, with one of version 2 beside them for systemd:
 * what hosts had before 2021. More cases run on pure version 2, in the machine of `tests/vm`.
 *
 * @module
 */
import { needing } from "../peers.ts";
import { missingImage } from "./build_image.ts";
import { hybridCases } from "./cases/systemd.ts";
import { bootMachine } from "./machine.ts";
import { kernelCommandLine } from "./recipe.ts";
import { notWanted, runCases } from "./wanted.ts";

Deno.test({
  ...needing("in a virtual machine with cgroup version 1 and systemd", {
    peers: ["qemu-system-x86", "debootstrap", "busybox-static", "e2fsprogs", "util-linux"],
    root: true,
    // Making the image may take long.
    other: notWanted() ?? await missingImage() ?? notWanted(),
  }),
  // The readers of QEMU's output may end a little later than the test.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(test) {
    await using machine = await bootMachine(`${kernelCommandLine} systemd.unified_cgroup_hierarchy=0`);
    await runCases(test, machine, hybridCases);
  },
});
