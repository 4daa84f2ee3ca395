import { deepStrictEqual as equal } from "node:assert/strict";
import { findResctrl, inspectResctrl } from "./host.ts";

const others = `25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 25 0:26 / /sys/fs/resctrl-not rw - tmpfs resctrl rw
`;

Deno.test("findResctrl() goes by the type of the file system, not by names", () => {
  equal(findResctrl(others), undefined);
  equal(findResctrl(`${others}33 25 0:28 / /sys/fs/resctrl rw - resctrl resctrl rw,cdp\n`), "/sys/fs/resctrl");
  equal(findResctrl("33 25 0:28 / /a\\040b rw shared:4 master:1 - resctrl none rw\n"), "/a b");
});

Deno.test("inspectResctrl() tells what the kernel has facts of", async () => {
  const mountpoint = await Deno.makeTempDir({ prefix: "barge-resctrl-" });
  try {
    const nothing = { mountpoint, hasCaches: false, hasBandwidth: false, hasMonitoring: false };
    equal(inspectResctrl(mountpoint), nothing);
    await Deno.mkdir(`${mountpoint}/info/L3CODE`, { recursive: true });
    await Deno.mkdir(`${mountpoint}/info/L3_MON`);
    equal(inspectResctrl(mountpoint), { ...nothing, hasCaches: true, hasMonitoring: true });
    await Deno.mkdir(`${mountpoint}/info/MB`);
    equal(inspectResctrl(mountpoint).hasBandwidth, true);
  } finally {
    await Deno.remove(mountpoint, { recursive: true });
  }
});
