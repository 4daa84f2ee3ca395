import assert from "node:assert/strict";
import { type Hierarchy, parseHierarchies } from "../hierarchies.ts";
import { unitDirectories } from "./unit_directories.ts";

const unit = { slice: "a-b.slice", stem: "box", name: "barge-box.scope" };

function paths(hierarchies: Hierarchy[], own?: string): string[] {
  return unitDirectories(hierarchies, unit, own).map(({ path }) => path);
}

const pure: Hierarchy = {
  ...{ version: 2, controllers: [], name: "", mountpoint: "/sys/fs/cgroup", root: "/", ownPath: "/init.scope" },
};

Deno.test("unitDirectories() counts from the service manager's cgroup", () => {
  const place = "a.slice/a-b.slice/barge-box.scope";
  assert.deepEqual(paths([pure]), [`/sys/fs/cgroup/${place}`]);
  const own = "/user.slice/user-7.slice/user@7.service";
  assert.deepEqual(paths([pure], own), [`/sys/fs/cgroup${own}/${place}`]);
  // In a container without a cgroup namespace of its own.
  assert.deepEqual(paths([{ ...pure, root: "/outer", ownPath: "/outer/init.scope" }]), [`/sys/fs/cgroup/${place}`]);
});

Deno.test("unitDirectories() has one in every hierarchy of a hybrid host", () => {
  const mountinfo = [
    "31 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
    "32 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd",
    "33 30 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
  ].join("\n");
  const place = "a.slice/a-b.slice/barge-box.scope";
  assert.deepEqual(paths(parseHierarchies(mountinfo, "5:pids:/\n1:name=systemd:/init.scope\n0::/init.scope\n")), [
    `/sys/fs/cgroup/pids/${place}`,
    `/sys/fs/cgroup/systemd/${place}`,
    `/sys/fs/cgroup/unified/${place}`,
  ]);
});
