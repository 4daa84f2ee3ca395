/**
 * Control groups against runc: the same resources must give the same contents of all control files.
 *
 * @module
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import type { Resources, Spec } from "../api/oci/runtime_spec.ts";
import { Cgroup } from "../shim/oci/cgroup/cgroup.ts";
import { type Hierarchy, readHierarchies } from "../shim/oci/cgroup/hierarchies.ts";
import { findPeer, needing } from "./peers.ts";

const hierarchies = readHierarchies();

/** Files that tell what happened instead of what was set. */
const measured =
  /usage|stat|failcnt|procs|tasks|threads|events|current|peak|slabinfo|pressure|io_service|io_wait|sectors|release|type$/;

/** Name → contents of the control files of a container's cgroup; lines in alphabetical order. */
function controlFiles(hierarchy: Hierarchy, path: string): Map<string, string> {
  const directory = hierarchy.mountpoint + path;
  const files = new Map<string, string>();
  for (const { name, isFile } of Deno.readDirSync(directory)) {
    if (!isFile || measured.test(name)) continue;
    try {
      const lines = Deno.readTextFileSync(`${directory}/${name}`).trimEnd().split("\n");
      files.set(`${hierarchy.name}/${name}`, lines.sort().join("\n"));
    } catch {
      // Some can only be written.
    }
  }
  return files;
}

async function runc(root: string, ...args: string[]): Promise<string> {
  // A detached container keeps the streams open: they are files, not pipes that would have to end.
  const log = `${root}/log`;
  const command = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec runc --root "$@" >"$log" 2>&1', "sh", log, root, ...args],
    stdin: "null",
  });
  const { success } = await command.output();
  const text = await Deno.readTextFile(log);
  equal(success, true, `runc ${args.join(" ")}: ${text}`);
  return text;
}

/** A bundle whose container sleeps. */
async function makeBundle(bundle: string, change: (spec: Spec) => void): Promise<void> {
  await Deno.mkdir(`${bundle}/rootfs/bin`, { recursive: true });
  const busybox = findPeer("busybox-static");
  ok(busybox !== undefined, "the test is ignored without busybox");
  await Deno.copyFile(busybox, `${bundle}/rootfs/bin/busybox`);
  await new Deno.Command("runc", { args: ["spec", "--bundle", bundle] }).output();
  const spec: Spec = JSON.parse(await Deno.readTextFile(`${bundle}/config.json`));
  spec.process!.terminal = false;
  spec.process!.args = ["/bin/busybox", "sleep", "600"];
  change(spec);
  await Deno.writeTextFile(`${bundle}/config.json`, JSON.stringify(spec));
}

/** What runc makes of the resources, and of a later update, as the maps of {@link controlFiles}. */
async function peersFiles(resources: Resources, update: Resources | undefined): Promise<Map<string, string>> {
  const bundle = await Deno.makeTempDir();
  const id = `barge-test-${crypto.randomUUID()}`;
  try {
    await makeBundle(bundle, (spec) => {
      spec.linux!.cgroupsPath = `/${id}`;
      spec.linux!.resources = resources;
    });
    await runc(bundle, "run", "--detach", "--bundle", bundle, id);
    if (update !== undefined) {
      await Deno.writeTextFile(`${bundle}/update.json`, JSON.stringify(update));
      await runc(bundle, "update", "--resources", `${bundle}/update.json`, id);
    }
    return new Map(hierarchies.flatMap((hierarchy) => [...controlFiles(hierarchy, `/${id}`)]));
  } finally {
    await runc(bundle, "delete", "--force", id);
    await Deno.remove(bundle, { recursive: true });
  }
}

async function ownFiles(resources: Resources, update: Resources | undefined): Promise<Map<string, string>> {
  const id = `barge-test-${crypto.randomUUID()}`;
  const cgroup = Cgroup.at(hierarchies, `/${id}`, id);
  cgroup.create();
  try {
    cgroup.apply(resources);
    if (update !== undefined) cgroup.update(update);
    return new Map(hierarchies.flatMap((hierarchy) => [...controlFiles(hierarchy, `/${id}`)]));
  } finally {
    await cgroup.remove();
  }
}

const denyAll = { allow: false, access: "rwm" };
const limits: Resources = {
  devices: [denyAll],
  memory: { limit: 64 << 20, swap: 96 << 20, reservation: 32 << 20 },
  cpu: { shares: 600, quota: 30_000, period: 60_000, cpus: "0", mems: "0" },
  pids: { limit: 99 },
};

const cases: { what: string; resources: Resources; update?: Resources }[] = [
  { what: "runc spec's resources", resources: { devices: [denyAll] } },
  { what: "no resources", resources: {} },
  { what: "limits of everything", resources: limits },
  { what: "an update that raises", resources: limits, update: { memory: { limit: 128 << 20, swap: 256 << 20 } } },
  { what: "an update that lowers", resources: limits, update: { memory: { limit: 16 << 20, swap: 16 << 20 } } },
  { what: "an update of other things", resources: limits, update: { pids: { limit: -1 }, cpu: { shares: 77 } } },
  { what: "unlimited memory", resources: { devices: [denyAll], memory: { limit: -1 } } },
  {
    what: "a memory limit with unlimited swap",
    resources: { devices: [denyAll], memory: { limit: 8 << 20, swap: -1 } },
  },
  { what: "swappiness and the OOM killer", resources: { memory: { swappiness: 7, disableOOMKiller: true } } },
  { what: "all devices", resources: { devices: [{ allow: true, access: "rwm" }] } },
  {
    what: "more devices",
    resources: {
      devices: [
        denyAll,
        { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
        { allow: true, type: "b", major: 8, access: "r" },
        { allow: true, type: "c", major: 10, minor: 229, access: "m" },
        { allow: false, type: "b", major: 8, access: "r" },
      ],
    },
  },
  {
    what: "throttled disks",
    resources: {
      blockIO: {
        throttleReadBpsDevice: [{ major: 7, minor: 0, rate: 1_048_576 }],
        throttleWriteIOPSDevice: [{ major: 7, minor: 0, rate: 50 }],
      },
    },
  },
];

for (const { what, resources, update } of cases) {
  Deno.test({
    ...needing(`Cgroup sets the same as runc for ${what}`, {
      peers: ["runc", "busybox-static"],
      root: true,
      other: hierarchies.length === 0 ? "no cgroups mounted" : undefined,
    }),
    fn: async () => {
      const theirs = await peersFiles(resources, update);
      const ours = await ownFiles(resources, update);
      ok(theirs.size >= 10, `runc's cgroup has ${theirs.size} files`);
      // Runtimes since 2025 convert shares to weights by another formula than Debian 12's runc; cpuWeight() has a test.
      for (const name of ["/cpu.weight", "/cpu.weight.nice"]) {
        ok(ours.delete(name) === theirs.delete(name), `only one of the two has ${name}`);
      }
      deepEqual(ours, theirs);
    },
  });
}
