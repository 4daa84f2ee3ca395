import assert from "node:assert/strict";
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { isFailure } from "../../../api/errors.ts";
import { formatProgram } from "../../../ffi/program/format.ts";
import { Assembly } from "../../../ffi/program/assemble.ts";
import { Flags, returnStep, Slot, type Step } from "../../../ffi/program/program.ts";
import { capabilityBits } from "./capabilities.ts";
import { commandCandidates } from "./command.ts";
import { containerEnvironment } from "./environment.ts";
import type { Facts } from "./facts.ts";
import { sysctlPath } from "./kernel_settings.ts";
import { cleanPath } from "./paths.ts";
import { plan } from "./plan.ts";

const facts: Facts = {
  arch: "x86_64",
  id: "one",
  bundle: "/bundle",
  root: { kind: "directory", path: "/bundle/rootfs" },
  sources: new Map([["/host/dir", "directory"], ["/host/file", "file"]]),
  destinations: new Map(),
  coveredModes: new Map(),
  kernelFiles: new Map([["/proc/known", "file"], ["/proc/gone", "missing"]]),
  canMakeNodes: true,
  cgroups: [],
  ignoredSignals: [13],
  lastCapability: 40,
  passwd: "root:x:0:0:root:/root:/bin/sh\nann:x:7:7::/home/ann:/bin/sh\n",
  start: "fifo",
  dieWithParent: false,
  newKeyring: true,
};

function specOf(changes: Partial<Spec> = {}): Spec {
  return {
    ociVersion: "1.0.2",
    root: { path: "rootfs" },
    process: { user: { uid: 0, gid: 0 }, args: ["sh"], env: ["PATH=/usr/bin:/bin"], cwd: "/" },
    linux: { namespaces: [{ type: "pid" }, { type: "mount" }, { type: "network" }] },
    ...changes,
  };
}

function steps(spec: Spec, changes: Partial<Facts> = {}): Step[] {
  const { program } = plan(spec, { ...facts, ...changes });
  return program.operations.filter((operation) => operation !== returnStep);
}

/** The first index of a step whose call and printed arguments match. */
function indexOf(list: readonly Step[], call: string, matches: (step: Step) => boolean = () => true): number {
  const index = list.findIndex((step) => step.call === call && matches(step));
  assert.notEqual(index, -1, `no step ${call}`);
  return index;
}

Deno.test("plan() resolves every path of the image inside its root and without magic links", () => {
  const list = steps(specOf({
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/a/b", type: "bind", source: "/host/dir", options: ["rbind"] },
      { destination: "/../c", type: "bind", source: "/host/file", options: ["bind"] },
    ],
    linux: { namespaces: [{ type: "mount" }], maskedPaths: ["/x"], readonlyPaths: ["/y"] },
  }));
  const pivot = indexOf(list, "pivot_root");
  for (const step of list.slice(indexOf(list, "open_tree"), pivot)) {
    // Paths by string are the host's own: the root file system, sources of binds, and its devices.
    if (step.call !== "openat" && step.call !== "mount" && step.call !== "open_tree") continue;
    if (step.args[0] instanceof Slot) continue;
    const path = step.args.find((arg) => typeof arg === "string" && arg !== "");
    if (path === undefined) continue;
    assert.match(String(path), /^(\/bundle\/rootfs|\/host\/(dir|file)|\/dev\/[a-z]+|\/)$/, step.does);
  }
  for (const step of list.filter(({ call }) => call === "openat2")) {
    const how = step.args[2] as { shown: string };
    assert.match(how.shown, /RESOLVE_(IN_ROOT|NO_MAGICLINKS)/);
  }
  assert.ok(list.some((step) => step.call === "openat2" && step.args[1] === "/c"), "`..` ends at the root");
});

Deno.test("plan() gives up the parent's memory before anything of the container can see the child", () => {
  const list = steps(specOf());
  const exchanged = indexOf(list, "prctl", (step) => step.does.includes("sealed stub"));
  for (const call of ["setsid", "mount", "open_tree", "pivot_root", "execve"]) {
    assert.ok(indexOf(list, call) > exchanged, `${call} comes too early`);
  }
  assert.equal(indexOf(list, "prctl"), 1, "not being dumpable comes first after the clone");
});

Deno.test("plan() closes what it opened before the working directory is entered", () => {
  const list = steps(specOf());
  const entered = indexOf(list, "openat2", (step) => step.does.startsWith("enter"));
  const closed = list.findLastIndex((step) => step.call === "close_range");
  assert.ok(closed < entered);
  assert.ok(!list.slice(closed, entered).some((step) => step.call.startsWith("open")));
});

Deno.test("plan() waits for exactly one byte and fails at the end of the file", () => {
  const wait = steps(specOf()).find((step) => step.does === "wait for the start");
  assert.equal(wait?.expect, 1);
  assert.equal(wait?.allow, undefined);
  assert.ok(!steps(specOf(), { start: "at once" }).some((step) => step.does === "wait for the start"));
});

Deno.test("plan() loads the filter when only what runc calls as well is left to be called", () => {
  const filter = { program: new Uint8Array(16), flags: 0, listener: false };
  const process = specOf().process!;
  const after = (noNewPrivileges: boolean, start: Facts["start"], capabilities: string[] = []) => {
    const sets = { effective: capabilities, permitted: capabilities };
    const list = steps(specOf({ process: { ...process, noNewPrivileges, capabilities: sets } }), { filter, start });
    const calls = list.map(({ call }) => call);
    return calls.slice(calls.indexOf("seccomp") + 1, calls.indexOf("execve") + 1);
  };
  for (const start of ["at once", "fifo"] as const) assert.deepEqual(after(true, start), ["execve"]);
  assert.deepEqual(after(false, "at once"), ["capset", "execve"]);
  assert.deepEqual(after(false, "fifo"), ["capset", "write", "read", "execve"]);
  // It is the process's own then.
  assert.deepEqual(after(false, "at once", ["CAP_SYS_ADMIN"]), ["execve"]);
});

Deno.test("plan() hides what the kernel shows, and skips what it does not", () => {
  const list = steps(
    specOf({ linux: { namespaces: [{ type: "mount" }], maskedPaths: ["/proc/known", "/proc/gone", "/x"] } }),
  );
  const opened = list.filter(({ call, does }) => call === "openat2" && does.startsWith("hide")).map(({ args }) =>
    args[1]
  );
  assert.deepEqual(opened, ["/proc/known", "/x", "/x"], "a path of unknown kind is tried as a directory and as a file");
});

Deno.test("plan() binds the host's devices where it cannot make nodes", () => {
  const made = steps(specOf());
  assert.ok(made.some(({ call, args }) => call === "mknodat" && args[1] === "null"));
  const bound = steps(specOf(), { canMakeNodes: false });
  assert.ok(bound.some(({ call, args }) => call === "open_tree" && args[1] === "/dev/null"));
});

Deno.test("plan() labels new file systems, but not the kernel's own, and a message queue's directory alone", () => {
  const spec = specOf({
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue" },
    ],
  });
  spec.linux!.mountLabel = "a:b:c:s0:c1,c2";
  const list = steps(spec);
  const opened = list.filter(({ call }) => call === "fsopen").map(({ args }) => args[0]);
  const labelled = list.filter(({ call, args }) => call === "fsconfig" && args[2] === "context");
  assert.deepEqual([opened, labelled.map(({ does }) => does.split('"')[1])], [["proc", "tmpfs", "mqueue"], ["/dev"]]);
  indexOf(list, "fsetxattr", ({ args }) => args[1] === "security.selinux");
  assert.deepEqual(steps(specOf()).filter(({ call }) => call === "fsetxattr"), []);
});

Deno.test("plan() gives the caller's own limit of open files back, unless the spec sets another", () => {
  const limits = (list: readonly Step[]): string[] =>
    list.filter(({ call }) => call === "prlimit64").map(({ does }) => does);
  const openFiles = { soft: 1024n, hard: 4096n };
  assert.deepEqual(limits(steps(specOf(), { openFiles })), ["set RLIMIT_NOFILE to 1024:4096"]);
  assert.deepEqual(limits(steps(specOf())), []);
  const rlimits = [{ type: "RLIMIT_NOFILE", soft: 7, hard: 2 ** 64 }];
  const process = { ...specOf().process!, rlimits };
  assert.deepEqual(limits(steps(specOf({ process }), { openFiles })), [`set RLIMIT_NOFILE to 7:${2n ** 64n - 1n}`]);
});

Deno.test("plan() joins the groups of resctrl in their order, with the paths of the host", () => {
  const list = steps(specOf(), { resctrl: ["/resctrl/gold", "/resctrl/gold/mon_groups/one"] });
  const files = list.filter(({ args }) => /^\/resctrl/.test(String(args[1]))).map(({ args }) => args[1]);
  assert.deepEqual(files, ["/resctrl/gold/tasks", "/resctrl/gold/mon_groups/one/tasks"]);
  const last = indexOf(list, "openat", ({ args }) => args[1] === files[1]);
  assert.deepEqual([list[last + 1]?.call, list[last + 1]?.args[1]], ["write", "0"]);
  assert.ok(last < indexOf(list, "setsid"));
});

Deno.test("plan() makes the cgroup namespace only after the cgroups were joined", () => {
  const list = steps(specOf({ linux: { namespaces: [{ type: "mount" }, { type: "cgroup" }] } }), {
    cgroups: [{ version: 1, name: "pids", path: "/sys/fs/cgroup/pids/one" }],
  });
  assert.ok(indexOf(list, "unshare") > indexOf(list, "write", (step) => step.does.startsWith("join the cgroup")));
});

Deno.test("plan() mounts an overlay by names relative to its base, so that many layers fit into a page", () => {
  const lower = Array.from({ length: 128 }, (_, index) => `${index + 1}/fs`);
  const list = steps(specOf(), {
    root: {
      kind: "overlay",
      base: "/var/lib/x/snapshots",
      lower,
      upper: "200/fs",
      work: "200/work",
      options: [],
      mountpoint: "/m",
    },
  });
  const mount = list[indexOf(list, "mount", (step) => step.args[0] === "overlay")]!;
  assert.ok(String(mount.args[4]).length < 4096);
  assert.equal(list[indexOf(list, "chdir")]!.args[0], "/var/lib/x/snapshots");
});

Deno.test("plan() refuses mounts over the kernel's files and sources that do not exist", () => {
  const bind = (destination: string, source: string): Spec =>
    specOf({ mounts: [{ destination, type: "bind", source, options: ["bind"] }] });
  assert.throws(() => steps(bind("/proc/self", "/host/dir")), (error) => isFailure(error, "InvalidArgument"));
  assert.throws(() => steps(bind("/data", "/host/none")), (error) => isFailure(error, "NotFound"));
  assert.doesNotThrow(() => steps(bind("/proc/meminfo", "/host/file")));
});

Deno.test("plan() assembles and prints for both architectures", () => {
  const { program } = plan(specOf(), facts);
  for (const arch of ["x86_64", "aarch64"] as const) assert.ok(new Assembly(program, arch).size > 10_000);
  const text = formatProgram(program);
  assert.match(text, /^# change over to the root file system\n {2}fchdir\(\$root\)\n {2}pivot_root\("\.", "\."\)$/m);
  assert.match(text, /faccessat2\(AT_FDCWD, "\/usr\/bin\/sh", X_OK, AT_EACCESS\) → found/);
});

Deno.test("commandCandidates() looks in PATH only for names without a slash", () => {
  assert.deepEqual(commandCandidates("./a", ["PATH=/bin"]), ["./a"]);
  assert.deepEqual(commandCandidates("a", ["PATH=/bin::/usr/bin"]), ["/bin/a", "./a", "/usr/bin/a"]);
  assert.throws(() => commandCandidates("", []), (error) => isFailure(error, "NotFound"));
});

Deno.test("containerEnvironment() keeps the last of equal names and finds HOME", () => {
  const process = { user: { uid: 7, gid: 7 }, cwd: "/", env: ["A=1", "A=2", "B="] };
  assert.deepEqual(containerEnvironment(process, facts.passwd), ["A=2", "B=", "HOME=/home/ann"]);
  assert.ok(containerEnvironment({ ...process, env: ["HOME=/x"] }, facts.passwd).includes("HOME=/x"));
  assert.throws(() => containerEnvironment({ ...process, env: ["novalue"] }, ""), /NAME=value/);
});

Deno.test("capabilityBits() leaves out what the kernel does not know", () => {
  assert.equal(capabilityBits(["CAP_CHOWN", "cap_kill", "CAP_NEW"], 40), 0b100001n);
  assert.equal(capabilityBits(["CAP_CHECKPOINT_RESTORE"], 39), 0n);
});

Deno.test("sysctlPath() takes the first separator for the path's", () => {
  assert.equal(sysctlPath("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
  assert.equal(sysctlPath("net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
});

Deno.test("cleanPath() cannot leave the root", () => {
  assert.equal(cleanPath("/a/../../b//./c/"), "/b/c");
  assert.equal(cleanPath(".."), "/");
});

Deno.test("plan() lets an ordinary user write id maps, and hides the process again", () => {
  const spec = specOf({ linux: { namespaces: [{ type: "mount" }, { type: "user" }] } });
  const shown = (changes: Partial<Facts>) =>
    steps(spec, changes).filter(({ args }) => args[0] instanceof Flags && args[0].names[0] === "PR_SET_DUMPABLE").map((
      { args },
    ) => args[1]);
  assert.deepEqual([shown({}), shown({ isOrdinaryUser: true })], [[0], [0, 1, 0]]);
});
