import assert from "node:assert/strict";
import type { Process, Spec } from "../../../api/oci/runtime_spec.ts";
import { Flags, returnStep, type Step } from "../../../ffi/program/program.ts";
import { type ExecFacts, mayBeTraced, planExec } from "./plan_exec.ts";

const process: Process = { cwd: "/", args: ["/bin/true"], user: { uid: 0, gid: 0 } };

const facts: ExecFacts = {
  arch: "x86_64",
  id: "c1",
  cgroups: [{ version: 1, name: "pids", path: "/sys/fs/cgroup/pids/c1" }],
  ignoredSignals: [],
  lastCapability: 40,
  passwd: "",
  dieWithParent: false,
  newKeyring: true,
};

/** A container with its own namespaces of these types. */
function container(...types: string[]): Spec {
  return { ociVersion: "1.2.0", linux: { namespaces: types.map((type) => ({ type })) } } as Spec; // Types as the spec has them.
}

function steps(spec: Spec, known: ExecFacts): Step[] {
  return planExec(spec, process, known).program.operations.filter((operation) => operation !== returnStep);
}

Deno.test("planExec() shows a shielded process only when everything of the host is closed and left", () => {
  const spec = container("pid", "mount");
  const calls = steps(spec, { ...facts, shielded: true }).map(({ call }) => call);
  const second = calls.lastIndexOf("clone3");
  assert.deepEqual(calls.slice(second - 2, second + 2), ["setns", "close_range", "clone3", "exit_group"]);
  // What the second process opens is the container's.
  const opened = calls.slice(second).filter((call) => /^open|write|fsopen/.test(call));
  assert.deepEqual(opened.filter((call) => call === "write"), []);
  assert.equal(planExec(spec, process, { ...facts, shielded: true }).joinsPidNamespace, false);
});

Deno.test("planExec() joins the groups of resctrl before the container's namespaces", () => {
  const all = steps(container("pid", "mount"), { ...facts, resctrl: ["/resctrl/gold"] });
  const joins = all.findIndex(({ args }) => args[1] === "/resctrl/gold/tasks");
  assert.ok(joins >= 0 && joins < all.findIndex(({ call }) => call === "setns"));
});

Deno.test("planExec() writes labels and scores to the host's proc, before it joins the container", () => {
  const labelled: Process = { ...process, apparmorProfile: "p", selinuxLabel: "l", oomScoreAdj: 5 };
  const operations = planExec(container("pid", "mount"), labelled, facts).program.operations;
  const all = operations.filter((operation) => operation !== returnStep);
  const joins = all.findIndex(({ call }) => call === "setns");
  const paths = (some: Step[]) => some.flatMap(({ args }) => args.filter((arg) => /^\/proc\//.test(String(arg))));
  assert.deepEqual(paths(all.slice(0, joins)), [
    "/proc/self/oom_score_adj",
    "/proc/thread-self/attr/apparmor/exec",
    "/proc/thread-self/attr/exec",
    "/proc/thread-self/attr/keycreate",
  ]);
  assert.deepEqual(paths(all.slice(joins)), []);
});

Deno.test("planExec() clones once where nobody may trace, or no pid namespace hides the process", () => {
  for (const [spec, shielded] of [[container("pid", "mount"), false], [container("mount"), true]] as const) {
    const planned = planExec(spec, process, { ...facts, shielded });
    assert.equal(planned.generation, undefined);
    assert.equal(steps(spec, { ...facts, shielded }).filter(({ call }) => call === "clone3").length, 1);
    assert.equal(planned.joinsPidNamespace, !shielded);
  }
});

Deno.test("mayBeTraced() looks at the container's capabilities and the process's, in any set", () => {
  const traces = { bounding: ["CAP_SYS_PTRACE"] };
  assert.equal(mayBeTraced(container("pid"), process), false);
  assert.equal(mayBeTraced(container("pid"), { ...process, capabilities: { ambient: ["cap_sys_ptrace"] } }), true);
  assert.equal(mayBeTraced({ ...container("pid"), process: { ...process, capabilities: traces } }, process), true);
  // Its capability is one in its own user namespace.
  assert.equal(
    mayBeTraced({ ...container("pid", "user"), process: { ...process, capabilities: traces } }, process),
    false,
  );
});

/** The names of an argument's flags, as in a plan's text. */
const namesOf = (arg: unknown): string => arg instanceof Flags ? arg.names.join("|") : "";

Deno.test("planExec() takes an ordinary user into the user namespace before all that needs rights there", () => {
  const all = steps(container("user", "pid", "mount"), { ...facts, isOrdinaryUser: true, shielded: true });
  const joins = all.filter(({ call, args }) => call === "setns" || namesOf(args[0]) === "PR_SET_MM");
  assert.deepEqual(joins.map(({ call }) => call), ["setns", "prctl", "setns"]);
  assert.deepEqual([joins[0], joins[2]].map((join) => namesOf(join?.args[1])), [
    "CLONE_NEWUSER",
    "CLONE_NEWNS|CLONE_NEWPID",
  ]);
});
