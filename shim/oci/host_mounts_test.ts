import assert from "node:assert/strict";
import { hostMounts } from "./host_mounts.ts";

Deno.test("hostMounts() finds what is mounted on the root, and every proc and sysfs", () => {
  const table = [
    "20 1 0:1 / / rw - rootfs rootfs rw",
    "21 20 254:0 / / rw shared:1 - ext4 /dev/vda rw",
    "22 21 0:20 / /proc rw shared:2 - proc proc rw",
    "23 22 0:21 / /proc rw - proc proc rw",
    "24 21 0:22 / /a\\040b rw - tmpfs t rw",
    "25 24 0:23 / /a\\040b/sys rw - sysfs sysfs rw",
    "",
  ].join("\n");
  assert.deepEqual(hostMounts(table), { onRoot: ["/proc", "/a b"], kernels: ["/proc", "/proc", "/a b/sys"] });
});
