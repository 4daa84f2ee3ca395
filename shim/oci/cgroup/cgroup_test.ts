import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { isFailure } from "../../../api/errors.ts";
import type { DeviceRule, Resources } from "../../../api/oci/runtime_spec.ts";
import { Cgroup } from "./cgroup.ts";
import { childrenOf, readControl, writeControl } from "./control_file.ts";
import { filterByProgram } from "./device_filter.ts";
import { devicePolicy } from "./device_rules.ts";
import { type Hierarchy, readHierarchies } from "./hierarchies.ts";

const hierarchies = readHierarchies();
const unified = hierarchies.find(({ version }) => version === 2);
const top = `/barge-test-${Deno.pid}`;

/** Why real cgroups cannot be had here; empty where they can. */
function missing(): string {
  if (Deno.uid() !== 0) return " (ignored: needs root)";
  if (hierarchies.length === 0) return " (ignored: needs mounted cgroups)";
  try {
    const probe = `${hierarchies[0]!.mountpoint}/barge-probe-${Deno.pid}`;
    Deno.mkdirSync(probe);
    Deno.removeSync(probe);
    return "";
  } catch {
    return " (ignored: needs writable cgroups)";
  }
}
const why = missing();
const whyV1 = why || (hierarchies.some(({ version }) => version === 1) ? "" : " (ignored: needs cgroup version 1)");
const whyUnified = why || (unified === undefined ? " (ignored: needs a mounted cgroup version 2)" : "");

/** Gives the test a name for cgroups of its own, and removes what is there afterwards. */
async function withName(test: (path: string) => void | Promise<void>): Promise<void> {
  const path = `${top}/${crypto.randomUUID()}`;
  try {
    await test(path);
  } finally {
    for (const { mountpoint } of hierarchies) {
      removeDeep(mountpoint + path);
      // The last test's end removes the directory that all of them share.
      if (childrenOf(mountpoint + top).length === 0) removeDeep(mountpoint + top);
    }
  }
}

function removeDeep(path: string): void {
  for (const child of childrenOf(path)) removeDeep(child);
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function realTest(name: string, reason: string, test: (path: string) => void | Promise<void>): void {
  Deno.test({ name: `${name}${reason}`, ignore: reason !== "", fn: () => withName(test) });
}

/** A shell inside the cgroup; what it starts is killed with it. */
function inside(joinFiles: string[], script: string): Deno.Command {
  const join = joinFiles.map((file) => `echo 0 > "${file}"`).join(" && ");
  return new Deno.Command("sh", { args: ["-c", `${join} && ${script}`], stdout: "piped", stderr: "piped" });
}

/** A child inside the cgroup, once its script has said that it is there. */
async function sleeper(cgroup: Cgroup, script = "echo ready; exec sleep 60"): Promise<Deno.ChildProcess> {
  const child = inside(cgroup.joinFiles, script).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  return child;
}

async function finish(child: Deno.ChildProcess): Promise<string | null> {
  const { signal } = await child.status;
  await child.stdout.cancel();
  await child.stderr.cancel();
  return signal;
}

/** A file of the version 1 directory that has the controller. */
function fileOf(cgroup: Cgroup, controller: string, file: string): string {
  const place = cgroup.places.find(({ controllers }) => controllers.includes(controller));
  return readControl(`${place!.path}/${file}`).trim();
}

realTest("create() makes a directory in each hierarchy and remove() takes them away", why, async (path) => {
  const cgroup = Cgroup.at(hierarchies, path, "box");
  cgroup.create();
  for (const { mountpoint } of hierarchies) ok(Deno.statSync(mountpoint + path).isDirectory);
  await Cgroup.fromRecord(JSON.parse(JSON.stringify(cgroup.toRecord()))).remove();
  for (const { mountpoint } of hierarchies) throws(() => Deno.statSync(mountpoint + path), Deno.errors.NotFound);
});

realTest("create() lets processes join, also where it has made the parents", why, async (path) => {
  const cgroup = Cgroup.at(hierarchies, `${path}/deeper/still`, "box");
  cgroup.create();
  const child = await sleeper(cgroup);
  deepEqual(cgroup.processes(), [child.pid]);
  child.kill("SIGKILL");
  equal(await finish(child), "SIGKILL");
  await cgroup.remove();
});

realTest("create() refuses a cgroup with a process in it and leaves that alone", why, async (path) => {
  const first = Cgroup.at(hierarchies, path, "box");
  first.create();
  const child = await sleeper(first);
  try {
    throws(
      () => Cgroup.at(hierarchies, path, "box").create(),
      (error) =>
        isFailure(error, "FailedPrecondition") &&
        error.message === "container's cgroup is not empty: 1 process(es) found",
    );
    deepEqual(first.processes(), [child.pid]);
  } finally {
    child.kill("SIGKILL");
    await finish(child);
  }
  await first.remove();
});

realTest("create() refuses a frozen cgroup", why, async (path) => {
  const first = Cgroup.at(hierarchies, path, "box");
  first.create();
  await first.freeze();
  throws(() => Cgroup.at(hierarchies, path, "box").create(), /unexpectedly frozen/);
  first.thaw();
  await first.remove();
});

realTest("create() that fails half-way removes what it made", why, (path) => {
  const broken: Hierarchy = { ...hierarchies[0]!, mountpoint: "/proc/1", name: "broken" };
  throws(
    () => Cgroup.at([...hierarchies, broken], `${path}/a/b`, "box").create(),
    (error) => isFailure(error, "FailedPrecondition") || isFailure(error, "PermissionDenied"),
  );
  for (const { mountpoint } of hierarchies) throws(() => Deno.statSync(mountpoint + path), Deno.errors.NotFound);
});

realTest("create() that fails half-way leaves what others have put into a parent meanwhile", why, (path) => {
  const other = `${hierarchies[0]!.mountpoint}${path}/other`;
  const broken = { ...hierarchies[0]!, mountpoint: "/proc/1", name: "broken" };
  const cgroup = Cgroup.at([hierarchies[0]!, broken], `${path}/box`, "box");
  // The broken hierarchy's turn comes after the first one's parent was made.
  Object.defineProperty(cgroup.places[1]!, "path", {
    get: () => {
      Deno.mkdirSync(other, { recursive: true });
      return `/proc/1${path}/box`;
    },
  });
  throws(() => cgroup.create(), /cannot make the cgroup/);
  ok(Deno.statSync(other).isDirectory);
  throws(() => Deno.statSync(`${hierarchies[0]!.mountpoint}${path}/box`), Deno.errors.NotFound);
});

realTest("remove() leaves a directory that was there before", why, async (path) => {
  const foreign = hierarchies[0]!.mountpoint + path;
  Deno.mkdirSync(foreign, { recursive: true });
  const cgroup = Cgroup.at(hierarchies, path, "box");
  cgroup.create();
  await cgroup.remove();
  ok(Deno.statSync(foreign).isDirectory);
  for (const { mountpoint } of hierarchies.slice(1)) {
    throws(() => Deno.statSync(mountpoint + path), Deno.errors.NotFound);
  }
});

realTest("remove() takes directories that the container made inside", why, async (path) => {
  const cgroup = Cgroup.at(hierarchies, path, "box");
  cgroup.create();
  for (const place of cgroup.places) Deno.mkdirSync(`${place.path}/inner/most`, { recursive: true });
  await cgroup.remove();
  for (const { mountpoint } of hierarchies) throws(() => Deno.statSync(mountpoint + path), Deno.errors.NotFound);
});

realTest("remove() names the processes that are in the way, and works once they are gone", why, async (path) => {
  const cgroup = Cgroup.at(hierarchies, path, "box");
  cgroup.create();
  const child = await sleeper(cgroup);
  try {
    await rejects(
      cgroup.remove(),
      (error) =>
        isFailure(error, "FailedPrecondition") && error.message.includes(`in use by the processes ${child.pid}`),
    );
  } finally {
    child.kill("SIGKILL");
    await finish(child);
  }
  await cgroup.remove();
});

realTest("signalAll() reaches every process, those in inner cgroups and their children too", why, async (path) => {
  const cgroup = Cgroup.at(hierarchies, path, "box");
  cgroup.create();
  const files = cgroup.places.map(({ path }) => `${path}/inner`);
  for (const file of files) Deno.mkdirSync(file);
  for (const place of cgroup.places.filter(({ controllers }) => controllers.includes("cpuset"))) {
    for (const name of ["cpuset.cpus", "cpuset.mems"]) {
      writeControl(`${place.path}/inner/${name}`, readControl(`${place.path}/${name}`));
    }
  }
  const child = inside(
    files.map((file) => `${file}/cgroup.procs`),
    "(trap '' TERM; sleep 60 & sleep 61 & echo ready; wait)",
  ).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  ok(cgroup.processes().length >= 3, `${cgroup.processes()}`);
  await cgroup.freeze();
  cgroup.signalAll(9);
  equal(await finish(child), "SIGKILL");
  await cgroup.remove();
});

realTest(
  "freeze() stops processes until thaw(), and signalAll() leaves a paused container paused",
  why,
  async (path) => {
    const cgroup = Cgroup.at(hierarchies, path, "box");
    cgroup.create();
    const child = await sleeper(cgroup, "trap 'exit 3' USR1; echo ready; while :; do sleep 0.01; done");
    equal(cgroup.state(), "thawed");
    await cgroup.freeze();
    equal(cgroup.state(), "frozen");
    equal(Cgroup.fromRecord(cgroup.toRecord()).state(), "frozen");
    cgroup.signalAll(10);
    equal(cgroup.state(), "frozen");
    cgroup.thaw();
    equal(cgroup.state(), "thawed");
    equal((await child.status).code, 3);
    await finish(child);
    await cgroup.remove();
  },
);

realTest("apply() writes limits to version 1 and update() changes them in any direction", whyV1, async (path) => {
  const cgroup = Cgroup.at(hierarchies, path, "box");
  cgroup.create();
  cgroup.apply({
    memory: { limit: 64 << 20, swap: 128 << 20, reservation: 32 << 20 },
    cpu: { shares: 512, quota: 50_000, period: 200_000, cpus: "0", mems: "0" },
    pids: { limit: 77 },
  });
  const read = () => [
    fileOf(cgroup, "memory", "memory.limit_in_bytes"),
    fileOf(cgroup, "memory", "memory.memsw.limit_in_bytes"),
    fileOf(cgroup, "cpu", "cpu.shares"),
    fileOf(cgroup, "cpu", "cpu.cfs_quota_us"),
    fileOf(cgroup, "cpu", "cpu.cfs_period_us"),
    fileOf(cgroup, "cpuset", "cpuset.cpus"),
    fileOf(cgroup, "pids", "pids.max"),
  ];
  deepEqual(read(), [`${64 << 20}`, `${128 << 20}`, "512", "50000", "200000", "0", "77"]);
  cgroup.update({ memory: { limit: 256 << 20, swap: 512 << 20 }, pids: { limit: -1 } });
  deepEqual(read(), [`${256 << 20}`, `${512 << 20}`, "512", "50000", "200000", "0", "max"]);
  cgroup.update({ memory: { limit: 16 << 20, swap: 32 << 20 }, cpu: { quota: -1 } });
  deepEqual(read(), [`${16 << 20}`, `${32 << 20}`, "512", "-1", "200000", "0", "max"]);
  await cgroup.remove();
});

realTest("apply() explains a memory limit below the usage", whyV1, async (path) => {
  const cgroup = Cgroup.at(hierarchies, path, "box");
  cgroup.create();
  // A process's stack and page tables cannot all be reclaimed.
  const child = await sleeper(cgroup);
  try {
    const usage = Number(fileOf(cgroup, "memory", "memory.usage_in_bytes"));
    ok(usage > 4096, `a process uses ${usage} bytes`);
    throws(
      () => cgroup.update({ memory: { limit: 4096 } }),
      (error) =>
        isFailure(error, "FailedPrecondition") &&
        /^unable to set memory limit to 4096 \(current usage: \d+, peak usage: \d+\)$/.test(error.message),
    );
  } finally {
    child.kill("SIGKILL");
    await finish(child);
  }
  await cgroup.remove();
});

realTest("apply() names the property that the kernel refuses", whyV1, async (path) => {
  const cgroup = Cgroup.at(hierarchies, path, "box");
  cgroup.create();
  const refusals: [Resources, RegExp][] = [
    [{ cpu: { cpus: "4000" } }, /^cannot set cpu\.cpus to "4000": .*cpuset\.cpus/],
    [{ cpu: { shares: 1 } }, /^cannot set cpu\.shares to 1: the minimum is 2$/],
    [{ cpu: { shares: 999_999 } }, /^cannot set cpu\.shares to 999999: the maximum is 262144$/],
    [{ cpu: { quota: 5 } }, /^cannot set cpu\.quota to "5": .*invalid argument/],
    [{ unified: { "memory.high": "5" } }, /cgroup version 1/],
  ];
  for (const [resources, message] of refusals) {
    throws(() => cgroup.apply(resources), (error) => error instanceof Error && message.test(error.message));
  }
  await cgroup.remove();
});

realTest("apply() names the controller that a limit needs", why, async (path) => {
  const bare = hierarchies.filter(({ controllers }) => !controllers.includes("pids") && controllers.length > 0);
  if (bare.length === 0) return;
  const cgroup = Cgroup.at(bare, path, "box");
  cgroup.create();
  throws(() => cgroup.apply({ pids: { limit: 5 } }), /cannot set pids\.limit: the cgroup controller "pids"/);
  cgroup.apply({ pids: { limit: -1 } });
  await cgroup.remove();
});

realTest("apply() refuses device rules where nothing can enforce them", why, async (path) => {
  const cgroup = Cgroup.at(hierarchies.filter(({ controllers }) => controllers.includes("name=systemd")), path, "box");
  cgroup.create();
  throws(() => cgroup.apply({}), /cannot restrict devices: the cgroup controller "devices" is not mounted/);
  cgroup.apply({ devices: [{ allow: true, access: "rwm" }] });
  await cgroup.remove();
});

/** Tries devices from inside: `+` what may be opened (r, w, rw) or made (m). */
const tries = `
try() { if "$@" 2>/dev/null; then printf +; else printf -; fi; }
try sh -c 'exec 3< /dev/null'
try sh -c 'exec 3> /dev/null'
try sh -c 'exec 3<> /dev/null'
try sh -c 'exec 3< /dev/kmsg'
try sh -c 'exec 3> /dev/kmsg'
try sh -c 'exec 3<> /dev/kmsg'
printf ' '
try mknod "$0/null" c 1 3
try mknod "$0/kmsg" c 1 11
try mknod "$0/disk" b 8 0
`;

const policies: [string, DeviceRule[], string][] = [
  ["without rules", [], "+++--- +++"],
  ["with more rules", [{ allow: true, type: "c", major: 1, minor: 11, access: "r" }], "++++-- +++"],
  ["with a default of allow", [
    { allow: true, access: "rwm" },
    { allow: false, type: "c", major: 1, minor: 11, access: "w" },
  ], "++++-- +++"],
  ["that allow all", [{ allow: true, access: "rwm" }], "++++++ +++"],
  ["that take nodes' making away", [
    { allow: true, access: "rwm" },
    { allow: false, type: "c", major: 1, minor: 11, access: "rwm" },
  ], "+++--- +++"],
];

/** The outcome of the tries in the cgroup of these files. */
function outcome(joinFiles: string[]): string {
  const directory = Deno.makeTempDirSync();
  try {
    const join = joinFiles.map((file) => `echo 0 > "${file}" && `).join("");
    const args = ["-c", `${join}{ ${tries} }`, directory];
    return new TextDecoder().decode(new Deno.Command("sh", { args, stdin: "null" }).outputSync().stdout);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

for (const [what, rules, expected] of policies) {
  realTest(`apply() filters devices by rules ${what}`, why, async (path) => {
    const cgroup = Cgroup.at(hierarchies, path, "box");
    cgroup.create();
    cgroup.apply({ devices: rules });
    equal(outcome(cgroup.joinFiles), expected);
    await cgroup.remove();
  });

  realTest(`filterByProgram() filters devices by rules ${what}, and once more`, whyUnified, async (path) => {
    const cgroup = Cgroup.at([unified!], path, "box");
    cgroup.create();
    filterByProgram(cgroup.places[0]!.path, devicePolicy(rules), true);
    equal(outcome(cgroup.joinFiles), expected);
    filterByProgram(cgroup.places[0]!.path, devicePolicy([]), false);
    equal(outcome(cgroup.joinFiles), "+++--- +++");
    filterByProgram(cgroup.places[0]!.path, devicePolicy([{ allow: true, access: "rwm" }]), false);
    equal(outcome(cgroup.joinFiles), "++++++ +++");
    await cgroup.remove();
  });
}

realTest("apply() makes a cgroup below a threaded one joinable", whyUnified, async (path) => {
  const parent = `${unified!.mountpoint}${path}`;
  Deno.mkdirSync(`${parent}/threaded`, { recursive: true });
  writeControl(`${parent}/threaded/cgroup.type`, "threaded");
  const hybrid = { ...unified!, name: "unified" };
  const cgroup = Cgroup.at([hybrid], `${path}/threaded/a/b`, "box");
  cgroup.create();
  match(readControl(`${cgroup.places[0]!.path}/cgroup.type`), /^domain invalid/);
  cgroup.apply({ devices: [{ allow: true, access: "rwm" }] });
  match(readControl(`${cgroup.places[0]!.path}/cgroup.type`), /^threaded/);
  const child = await sleeper(cgroup);
  deepEqual(cgroup.processes(), [child.pid]);
  cgroup.signalAll(9);
  equal(await finish(child), "SIGKILL");
  await cgroup.remove();
});
