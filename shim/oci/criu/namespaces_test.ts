import assert from "node:assert/strict";
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { externalNamespaces, restoredNamespaces } from "./namespaces.ts";

const given: Spec = {
  ociVersion: "1.0.2",
  linux: {
    namespaces: [
      { type: "network", path: "/net" },
      { type: "pid", path: "/pid" },
      { type: "ipc", path: "/ipc" },
      { type: "mount" },
    ],
  },
};

Deno.test("externalNamespaces() names namespaces by path that criu leaves alone", () => {
  assert.deepEqual(externalNamespaces(given, 31_700, () => 7), ["net[7]:extRootNetNS", "pid[7]:extRootPidNS"]);
  assert.throws(() => externalNamespaces(given, 31_400, () => 7), /lacks support for external pid namespaces/);
});

Deno.test("restoredNamespaces() opens some and has the others joined; cgroup namespaces are refused", () => {
  assert.deepEqual(restoredNamespaces(given, 31_700), {
    opened: [{ key: "extRootNetNS", path: "/net" }, { key: "extRootPidNS", path: "/pid" }],
    joined: [{ type: "ipc", path: "/ipc" }],
  });
  const joins = { ...given, linux: { namespaces: [{ type: "cgroup" as const, path: "/cg" }] } };
  assert.throws(() => restoredNamespaces(joins, 31_700), /cgroup namespace by path/);
});
