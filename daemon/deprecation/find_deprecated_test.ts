import assert from "node:assert/strict";
import { readDocument } from "../config/document.ts";
import type { Table } from "../config/tree.ts";
import { deprecatedSettings, hasOldCgroups } from "./find_deprecated.ts";

async function found(text: string): Promise<string[]> {
  const { entries } = await readDocument(text, "test");
  return deprecatedSettings(
    new Map([...entries].filter((entry): entry is [string, Table] => entry[1].kind === "table")),
  );
}

Deno.test("deprecatedSettings() finds what says anything, and nothing in what is generated", async () => {
  assert.deepEqual(
    await found(`
      ['io.containerd.internal.v1.tracing']
      service_name = ''
      sampling_ratio = 0.0
      ['io.containerd.cri.v1.images'.registry.mirrors]
      ['io.containerd.cri.v1.runtime']
      enable_cdi = true
      cni.bin_dir = ''`),
    [],
  );
  assert.deepEqual(
    await found(`
      ['io.containerd.internal.v1.tracing']
      service_name = 'x'
      sampling_ratio = 0.5
      ['io.containerd.tracing.processor.v1.otlp']
      insecure = true
      ['io.containerd.cri.v1.images'.registry.auths.host]
      ['io.containerd.cri.v1.runtime']
      enable_cdi = false
      cni.bin_dir = '/opt'`),
    ["cri-registry-auths", "cri-cni-bin-dir", "tracing-processor-config", "tracing-service-config", "enable-cdi"],
  );
});

Deno.test("hasOldCgroups() looks for the file that only cgroup v2 has", async () => {
  const directory = await Deno.makeTempDir();
  assert.equal(hasOldCgroups(`${directory}/none`), false);
  assert.equal(hasOldCgroups(directory), true);
  await Deno.writeTextFile(`${directory}/cgroup.controllers`, "");
  assert.equal(hasOldCgroups(directory), false);
  await Deno.remove(directory, { recursive: true });
});
