import assert from "node:assert/strict";
import { lacksMappedMounts, withMaps, withoutMaps } from "./mapped_mounts.ts";

const context = (agent: string) => ({ metadata: new Map([["user-agent", agent]]) });

Deno.test("lacksMappedMounts() tells clients of containerd before version 2 by their grpc-go", () => {
  for (const agent of ["grpc-go/1.47.0", "nerdctl grpc-go/1.59.0"]) assert(lacksMappedMounts(context(agent)), agent);
  for (const agent of ["grpc-go/1.67.1", "grpc-go/2.0.0", "barge", ""]) {
    assert(!lacksMappedMounts(context(agent)), agent);
  }
});

Deno.test("withMaps() gives a root the maps of its snapshot's labels, and only those", async () => {
  const maps = ["uidmap=0:100:10", "gidmap=0:200:10"];
  const root = { type: "bind", source: "/s", target: "", options: [...maps, "rw", "rbind"] };
  const given = withoutMaps([root]);
  assert.deepEqual(given[0]!.options, ["rw", "rbind"]);
  const labels = { "containerd.io/snapshot/uidmapping": "0:100:10", "containerd.io/snapshot/gidmapping": "0:200:10" };
  // Nothing else of a snapshot is looked at.
  const having = (labels: Record<string, string>) => ({ stat: () => Promise.resolve({ labels } as never) });
  assert.deepEqual(await withMaps(given, { snapshotKey: "k" }, having(labels)), [root]);
  assert.deepEqual(await withMaps(given, { snapshotKey: "k" }, having({})), given);
  assert.deepEqual(await withMaps(given, {}, having(labels)), given);
});
