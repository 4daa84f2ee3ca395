import { equal, throws } from "node:assert/strict";
import { cgroupOfInit } from "./init_cgroup.ts";

const record = [{
  version: 2 as const,
  name: "",
  controllers: [],
  mountpoint: "/sys/fs/cgroup",
  path: "/sys/fs/cgroup/a/box",
  made: true,
}];

Deno.test("cgroupOfInit() finds the inner cgroup, and the container's own", () => {
  equal(cgroupOfInit(record, "0::/a/box/inner\n"), "/sys/fs/cgroup/a/box/inner");
  equal(cgroupOfInit(record, "3:cpu:/x\n0::/a/box\n"), "/sys/fs/cgroup/a/box");
});

Deno.test("cgroupOfInit() refuses what lies outside of the container's cgroup", () => {
  for (const text of ["0::/a/boxer\n", "0::/\n", "0::/a\n", "1:cpu:/a/box\n"]) {
    throws(() => cgroupOfInit(record, text), /want one in "\/sys\/fs\/cgroup\/a\/box"/);
  }
});
