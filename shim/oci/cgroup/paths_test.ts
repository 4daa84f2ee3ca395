import { deepEqual, throws } from "node:assert/strict";
import { isFailure } from "../../../api/errors.ts";
import type { Hierarchy } from "./hierarchies.ts";
import { cgroupDirectories } from "./paths.ts";

const memory: Hierarchy = {
  version: 1,
  controllers: ["memory"],
  name: "memory",
  mountpoint: "/sys/fs/cgroup/memory",
  root: "/",
  ownPath: "/user/me",
};
const cpu: Hierarchy = { ...memory, controllers: ["cpu"], name: "cpu", mountpoint: "/sys/fs/cgroup/cpu", ownPath: "/" };
const unified: Hierarchy = { ...memory, version: 2, controllers: [], name: "unified", mountpoint: "/unified" };
const pure: Hierarchy = { ...unified, name: "", mountpoint: "/sys/fs/cgroup", ownPath: "/user.slice/me.scope" };

function paths(hierarchies: Hierarchy[], cgroupsPath: string | undefined): string[] {
  return cgroupDirectories(hierarchies, cgroupsPath, "box").map(({ path }) => path);
}

Deno.test("cgroupDirectories() counts an absolute path from each mount point", () => {
  deepEqual(paths([memory, cpu, unified, pure], "/a/b"), [
    "/sys/fs/cgroup/memory/a/b",
    "/sys/fs/cgroup/cpu/a/b",
    "/unified/a/b",
    "/sys/fs/cgroup/a/b",
  ]);
});

Deno.test("cgroupDirectories() counts a relative path from the own cgroup of each hierarchy", () => {
  deepEqual(paths([memory, cpu, unified], "a/b"), [
    "/sys/fs/cgroup/memory/user/me/a/b",
    "/sys/fs/cgroup/cpu/a/b",
    "/unified/user/me/a/b",
  ]);
});

Deno.test("cgroupDirectories() counts a relative path of pure version 2 from the own cgroup's parent", () => {
  deepEqual(paths([pure], "a"), ["/sys/fs/cgroup/user.slice/a"]);
  deepEqual(paths([{ ...pure, ownPath: "/init" }], "a"), ["/sys/fs/cgroup/a"]);
  deepEqual(paths([{ ...pure, ownPath: "/" }], "a"), ["/sys/fs/cgroup/a"]);
});

Deno.test("cgroupDirectories() takes the container's id where there is no path", () => {
  deepEqual(paths([memory], undefined), ["/sys/fs/cgroup/memory/user/me/box"]);
  deepEqual(paths([memory], ""), ["/sys/fs/cgroup/memory/user/me/box"]);
});

Deno.test("cgroupDirectories() never lets .. lead outside", () => {
  deepEqual(paths([memory], "/../../etc/./x//y"), ["/sys/fs/cgroup/memory/etc/x/y"]);
  deepEqual(paths([memory], "../../../x"), ["/sys/fs/cgroup/memory/user/me/x"]);
  deepEqual(paths([{ ...memory, ownPath: "/../../out" }], "x"), ["/sys/fs/cgroup/memory/out/x"]);
});

Deno.test("cgroupDirectories() counts the own cgroup from what the mount shows", () => {
  const inner = { ...memory, root: "/docker/outer", ownPath: "/docker/outer/sub" };
  deepEqual(paths([inner], "x"), ["/sys/fs/cgroup/memory/sub/x"]);
  deepEqual(paths([{ ...inner, ownPath: "/docker/outer" }], "x"), ["/sys/fs/cgroup/memory/x"]);
  deepEqual(paths([{ ...inner, ownPath: "/docker/outer2/sub" }], "x"), ["/sys/fs/cgroup/memory/x"]);
});

Deno.test("cgroupDirectories() refuses systemd's form and paths without a name", () => {
  throws(() => paths([memory], "system.slice:barge:box"), /want --systemd-cgroup/);
  for (const path of ["/", "/..", "a/..", "a\0b", "a\nb"]) {
    throws(() => paths([memory], path), (error) => isFailure(error, "InvalidArgument"), JSON.stringify(path));
  }
});
