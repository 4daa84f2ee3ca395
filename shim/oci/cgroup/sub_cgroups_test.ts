import { deepStrictEqual as equal, throws } from "node:assert/strict";
import type { CgroupPlace } from "../plan/facts.ts";
import { inSubCgroups } from "./sub_cgroups.ts";

const memory: CgroupPlace = { version: 1, name: "memory", path: "/m/c" };
const cpu: CgroupPlace = { version: 1, name: "cpu,cpuacct", path: "/cpu/c" };
const unified: CgroupPlace = { version: 2, name: "", path: "/u/c" };
const paths = (places: CgroupPlace[], ...wanted: string[]) => inSubCgroups(places, wanted).map(({ path }) => path);

Deno.test("inSubCgroups() puts a bare path below all of the container's cgroups", () => {
  equal(paths([memory, cpu, unified], "a/b"), ["/m/c/a/b", "/cpu/c/a/b", "/u/c/a/b"]);
  equal(paths([unified], "/"), ["/u/c"]);
});

Deno.test("inSubCgroups() puts named controllers below theirs alone", () => {
  equal(paths([memory, cpu, unified], "cpuacct,memory:/x/../y"), ["/m/c/y", "/cpu/c/y", "/u/c"]);
  equal(paths([memory, cpu], "memory:a", "cpu:b"), ["/m/c/a", "/cpu/c/b"]);
});

Deno.test("inSubCgroups() refuses what leads out, and what it cannot tell apart", () => {
  throws(() => paths([memory], "../x"), /\.\.\/x is not a sub cgroup path/);
  throws(() => paths([memory], "a/../../x/c/.."), /is not a sub cgroup path/);
  throws(() => paths([memory], "a", "b"), /missing <controller>: prefix/);
  throws(() => paths([memory], "a:b:c"), /invalid --cgroup argument/);
  throws(() => paths([memory], "pids:a"), /unknown controller pids/);
  throws(() => paths([unified], "memory:a"), /unknown controller memory/);
});
