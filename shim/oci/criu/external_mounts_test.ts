import assert from "node:assert/strict";
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { dumpedMounts, restoredMounts } from "./external_mounts.ts";

const spec: Spec = {
  ociVersion: "1.0.2",
  mounts: [
    { destination: "/data", type: "none", source: "relative", options: ["rbind", "ro"] },
    { destination: "/link/host", type: "bind", source: "/there", options: ["bind"] },
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup" },
  ],
  linux: {
    maskedPaths: ["/proc/kcore", "/proc/acpi"],
    devices: [{ type: "c", path: "/dev//fuse", major: 1, minor: 2 }],
  },
};
const hybrid = [{ version: 1, name: "cpu,cpuacct", path: "/cg/cpu/box" }, {
  version: 2,
  name: "unified",
  path: "/u",
}] as const;
const facts = { bundle: "/b", cgroups: hybrid, resolve: (path: string) => path.replace("/link", "/real") };

Deno.test("restoredMounts() finds a source for each name that dumpedMounts() has given", () => {
  const dumped = dumpedMounts(spec, facts, (path) => path === "/proc/kcore");
  const restored = new Map(restoredMounts(spec, facts).map(({ key, value }) => [key, value]));
  for (const { value } of dumped) assert.ok(restored.has(value), value);
  assert.deepEqual([restored.get("/data"), restored.get("/real/host"), restored.get("/dev/fuse")], [
    ...["/b/relative", "/there", "/dev/fuse"],
  ]);
  assert.equal(restored.get("/sys/fs/cgroup/cpu,cpuacct"), "/cg/cpu/box");
  assert.equal(restored.has("/proc"), false);
});

Deno.test("dumpedMounts() has files behind /dev/null, and version 2 of cgroups is criu's own", () => {
  const cgroups = [{ version: 2, name: "", path: "/cg/box" }] as const;
  const dumped = dumpedMounts(spec, { ...facts, cgroups }, (path) => path === "/proc/kcore");
  const names = new Map(dumped.map(({ key, value }) => [key, value]));
  assert.deepEqual([names.get("/proc/kcore"), names.has("/proc/acpi")], ["/dev/null", false]);
  assert.equal([...names.keys()].some((key) => key.startsWith("/sys")), false);
});
