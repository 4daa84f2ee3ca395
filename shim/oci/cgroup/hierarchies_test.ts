import { deepEqual, equal } from "node:assert/strict";
import { parseHierarchies } from "./hierarchies.ts";

const hybridMounts = `
30 23 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec - tmpfs tmpfs ro,mode=755
31 30 0:28 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
32 30 0:29 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
33 30 0:30 / /sys/fs/cgroup/memory rw,nosuid shared:12 - cgroup cgroup rw,memory
34 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:13 - cgroup cgroup rw,cpu,cpuacct
35 30 0:32 / /sys/fs/cgroup/cpuset rw,nosuid shared:14 - cgroup cgroup rw,cpuset
36 23 0:30 / /mnt/again\\040memory rw - cgroup cgroup rw,memory
`;
const hybridOwn = `
5:memory:/user/me
4:cpu,cpuacct:/
3:cpuset:/a:b
2:pids:/
1:name=systemd:/user.slice
0::/user.slice/session
`;

Deno.test("parseHierarchies() gives a hybrid host's hierarchies once each, in the order of joining", () => {
  const parsed = parseHierarchies(hybridMounts, hybridOwn);
  deepEqual(parsed.map(({ name, controllers, ownPath }) => [name, controllers.join(), ownPath]), [
    ["cpuset", "cpuset", "/a:b"],
    ["memory", "memory", "/user/me"],
    ["cpu,cpuacct", "cpu,cpuacct", "/"],
    ["systemd", "name=systemd", "/user.slice"],
    ["unified", "", "/user.slice/session"],
  ]);
  deepEqual(parsed.map(({ version }) => version), [1, 1, 1, 1, 2]);
});

Deno.test("parseHierarchies() prefers the usual mount point to another of the same hierarchy", () => {
  const reversed = hybridMounts.split("\n").toReversed().join("\n");
  const memory = parseHierarchies(reversed, hybridOwn).find(({ name }) => name === "memory");
  equal(memory?.mountpoint, "/sys/fs/cgroup/memory");
});

Deno.test("parseHierarchies() decodes escaped mount points and roots", () => {
  const mounts = String.raw`40 1 0:30 /a\040b /mnt/x\134y\011z rw - cgroup cgroup rw,memory`;
  deepEqual(parseHierarchies(mounts, "5:memory:/a b/c\n"), [{
    version: 1,
    controllers: ["memory"],
    name: "x\\y\tz",
    mountpoint: "/mnt/x\\y\tz",
    root: "/a b",
    ownPath: "/a b/c",
  }]);
});

Deno.test("parseHierarchies() gives only version 2 where that is mounted at the top", () => {
  const mounts = `
25 21 0:22 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
90 21 0:60 / /mnt/net_cls rw - cgroup cgroup rw,net_cls
`;
  deepEqual(parseHierarchies(mounts, "3:net_cls:/\n0::/init.scope\n"), [{
    version: 2,
    controllers: [],
    name: "",
    mountpoint: "/sys/fs/cgroup",
    root: "/",
    ownPath: "/init.scope",
  }]);
});

Deno.test("parseHierarchies() gives nothing where nothing is mounted", () => {
  deepEqual(parseHierarchies("22 1 8:1 / / rw - ext4 /dev/vda rw\n", "0::/\n"), []);
});
