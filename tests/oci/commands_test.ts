/**
 * What the runtime's commands print, and the cgroups that `exec` can be told.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Cgroup } from "../../shim/oci/cgroup/cgroup.ts";
import { readHierarchies } from "../../shim/oci/cgroup/hierarchies.ts";
import { runtimeTest } from "../bundle.ts";

/** What `features` prints, as far as the test looks at it. */
interface Features {
  readonly ociVersionMin: string;
  readonly hooks: string[];
  readonly mountOptions: string[];
  readonly linux: {
    readonly namespaces: string[];
    readonly capabilities: string[];
    readonly cgroup: Record<string, boolean>;
    readonly seccomp: { readonly enabled: boolean; readonly actions: string[]; readonly operators: string[] };
    readonly apparmor: { readonly enabled: boolean };
  };
}

runtimeTest("features names what callers look for", async (_bundle, runtime) => {
  const text = await runtime.succeed(["features"]);
  // Printed by the command that is under test.
  const { ociVersionMin, hooks, mountOptions, linux } = JSON.parse(text) as Features;
  assert.ok(text.startsWith('{\n    "ociVersionMin"') && text.endsWith("}\n"));
  assert.equal(ociVersionMin, "1.0.0");
  assert.deepEqual(hooks.slice(0, 2), ["prestart", "createRuntime"]);
  for (const option of ["rro", "rbind", "ro", "rslave", "tmpcopyup", "nosymfollow"]) {
    assert.ok(mountOptions.includes(option), option);
  }
  for (const type of ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"]) {
    assert.ok(linux.namespaces.includes(type), type);
  }
  assert.ok(linux.capabilities.includes("CAP_CHOWN") && linux.apparmor.enabled && linux.seccomp.enabled);
  assert.ok(linux.cgroup["v1"] && linux.cgroup["v2"] && linux.cgroup["systemd"]);
  assert.ok(linux.seccomp.actions.includes("SCMP_ACT_NOTIFY"));
  assert.equal(linux.seccomp.operators.length, 7);
});

runtimeTest("list prints a table, JSON or ids", async (bundle, runtime, scratch) => {
  await Deno.mkdir(runtime.stateRoot);
  assert.equal(await runtime.succeed(["list", "--format", "json"]), "null\n");
  assert.equal(await runtime.succeed(["list", "-q"]), "");
  await bundle.command("sleep", "100");
  const id = scratch.id("c");
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  const [shown] = JSON.parse(await runtime.succeed(["list", "-f", "json"]));
  assert.deepEqual([shown.id, shown.status, shown.bundle, shown.owner], [id, "running", bundle.path, "root"]);
  assert.equal(await runtime.succeed(["list", "--quiet"]), `${id}\n`);
  const [head = "", row = ""] = (await runtime.succeed(["list"])).split("\n");
  assert.match(head, /^ID {2,}PID {2,}STATUS {2,}BUNDLE {2,}CREATED {2,}OWNER$/);
  assert.deepEqual(row.split(/ {2,}/).slice(0, 4), [id, String(shown.pid), "running", bundle.path]);
  // Columns stand below their names.
  assert.equal(head.indexOf("STATUS"), row.indexOf("running"));
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest(
  "ps prints the container's processes, as the host's ps does or as JSON",
  async (bundle, runtime, scratch) => {
    await bundle.command("sleep", "100");
    const id = scratch.id("c");
    await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
    const { pid } = (await runtime.state(id))!;
    assert.deepEqual(JSON.parse(await runtime.succeed(["ps", "--format", "json", id])), [pid]);
    const table = (await runtime.succeed(["ps", id])).trim().split("\n");
    assert.deepEqual([table.length, table[0]?.includes("PID")], [2, true]);
    assert.match(table[1]!, new RegExp(`\\b${pid}\\b.*sleep 100`));
    const own = (await runtime.succeed(["ps", id, "-o", "pid,comm"])).trim().split("\n");
    assert.deepEqual(own.map((line) => line.trim().split(/\s+/)), [["PID", "COMMAND"], [String(pid), "sleep"]]);
    await runtime.succeed(["delete", "--force", id]);
  },
  { programs: ["ps"] },
);

runtimeTest("exec runs in a cgroup below the container's own", async (bundle, runtime, scratch) => {
  await bundle.command("sleep", "100");
  const id = scratch.id("c");
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  const places = Cgroup.at(readHierarchies(), `/${id}`, id).places;
  const below = places.map(({ path }) => `${path}/sub`);
  for (const path of below) {
    await Deno.mkdir(path);
    // Nothing can join a cpuset (version 1) that has no CPUs.
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      const set = await Deno.readTextFile(`${path}/../${file}`).catch(() => undefined);
      if (set !== undefined && set.trim() !== "") await Deno.writeTextFile(`${path}/${file}`, set, { create: false });
    }
  }
  const inside = async (...flags: string[]) =>
    await runtime.succeed(["exec", ...flags, id, "cat", "/proc/self/cgroup"]);
  const all = (await inside("--cgroup", "sub")).trim().split("\n");
  assert.ok(all.every((line) => line.endsWith("/sub")), all.join("\n"));
  const named = places.find(({ version }) => version === 1)?.name.split(",")[0];
  if (named !== undefined) {
    const lines = (await inside("--cgroup", `${named}:sub`)).trim().split("\n");
    assert.deepEqual(lines.filter((line) => line.endsWith("/sub")).map((line) => line.split(":")[1]), [named]);
  }
  for (const wrong of ["../other", "none:sub", "a:b:c"]) {
    assert.notEqual((await runtime.execute(["exec", "--cgroup", wrong, id, "true"])).code, 0, wrong);
  }
  for (const path of below) await Deno.remove(path);
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest("plan prints every step for machines too, and does nothing", async (bundle, runtime) => {
  await bundle.edit((spec) => spec.process.noNewPrivileges = true);
  const plan = JSON.parse(await runtime.succeed(["plan", "--json", bundle.path]));
  assert.equal(plan.bundle, bundle.path);
  assert.deepEqual([plan.descriptors["0"], plan.descriptors["3"], plan.stops], ["stdin", "report", ["home"]]);
  // Made by the command that is under test; its shape is StepDescription's.
  const steps = plan.steps as { does: string; call: string; args: string[]; mayFail?: unknown; labels?: string[] }[];
  assert.equal(steps[0]?.call, "clone3");
  assert.ok(steps.every(({ does, call, args }) => does !== "" && call !== "" && Array.isArray(args)));
  assert.ok(steps.some(({ call, args }) => call === "write" && args[0] === "3<report>"));
  assert.ok(steps.some(({ call, mayFail }) => call === "execve" && JSON.stringify(mayFail)?.includes("ENOEXEC")));
  const text = await runtime.succeed(["plan", "--bundle", bundle.path]);
  assert.match(text, /# set no_new_privs\n {2}prctl\(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0\)\n/);
  assert.match(text, /\$root = open_tree\(AT_FDCWD, "[^"]+\/rootfs"/);
  assert.match(text, /\[ENOENT ENOTDIR EACCES ENOEXEC\]/);
}, { only: "barge" });

runtimeTest(
  "update refuses classes of caches where the container has none, and the container goes on",
  async (bundle, runtime, scratch) => {
    await bundle.command("sleep", "100");
    const id = scratch.id("c");
    await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
    for (const words of [["--l3-cache-schema", "L3:0=f"], ["--mem-bw-schema", "MB:0=10"]]) {
      const { code, stderr } = await runtime.execute(["update", ...words, id]);
      assert.equal(code, 1);
      assert.match(stderr, /Intel RDT/);
    }
    assert.equal((await runtime.state(id))?.status, "running");
    await runtime.succeed(["delete", "--force", id]);
  },
  { only: "barge" },
);

runtimeTest("a log that cannot be opened is said at once, and nothing is done", async (bundle, runtime, scratch) => {
  const log = `${scratch.path}/none/log`;
  const words = ["--log", log, "run", "--bundle", bundle.path, scratch.id("c")];
  const { code, stdout, stderr } = await runtime.execute(words);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.ok(stderr.includes(log), stderr);
  assert.match(stderr, /[Nn]o such file or directory/);
});

// As runc since 1.2; 1.1.5 makes the directory.
runtimeTest("list wants a root that was named to be there", async (_bundle, runtime) => {
  const { code, stdout, stderr } = await runtime.execute(["list"]);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /open .*: no such file or directory/);
}, { only: "barge" });
