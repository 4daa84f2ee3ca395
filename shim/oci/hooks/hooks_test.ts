import assert from "node:assert/strict";
import { formatProgram } from "../../../ffi/program/format.ts";
import { specVersion } from "../spec/version.ts";
import { hasHooks, hookState, needsHostRootfs } from "./hook_state.ts";
import { planCreateContainerHook, planRuntimeHook } from "./plan_hook.ts";

const facts = { arch: "x86_64" as const, ignoredSignals: [], cgroups: [] };

/** The lines from the one that holds the text. */
function linesFrom(program: string, text: string): string[] {
  const lines = program.split("\n").filter((line) => line !== "");
  const index = lines.findIndex((line) => line.includes(text));
  assert.notEqual(index, -1, `no line with ${text}`);
  return lines.slice(index).map((line) => line.trim());
}

Deno.test("hookState() is runc's line of JSON, without what is not known", () => {
  assert.equal(
    hookState("createRuntime", { id: "a", pid: 7, bundle: "/b", annotations: { k: "v" } }),
    `{"ociVersion":"${specVersion}","id":"a","status":"creating","pid":7,"bundle":"/b","annotations":{"k":"v"}}`,
  );
  assert.equal(
    hookState("poststop", { id: "a", pid: 0, bundle: "/b", annotations: {} }),
    `{"ociVersion":"${specVersion}","id":"a","status":"stopped","bundle":"/b"}`,
  );
});

Deno.test("needsHostRootfs() is true for hooks outside of the container only", () => {
  const hook = { path: "/hook" };
  assert.equal(needsHostRootfs({ hooks: { createContainer: [hook], startContainer: [hook] } }), false);
  assert.equal(needsHostRootfs({ hooks: { poststop: [hook] } }), true);
  assert.equal(hasHooks({ hooks: { prestart: [] } }, "prestart"), false);
});

Deno.test("planRuntimeHook() passes arguments verbatim, and this process's environment where the hook has none", () => {
  const own = { environment: ["A=1"], cwd: "/here" };
  const plan = (hook: Parameters<typeof planRuntimeHook>[0]) =>
    linesFrom(formatProgram(planRuntimeHook(hook, facts, own).program), "chdir(").filter((line) => line[0] !== "#");
  assert.deepEqual(plan({ path: "/h" }), ['chdir("/here")', 'execve("/h", ["/h"], ["A=1"])']);
  assert.deepEqual(plan({ path: "/h", args: ["x", "y"], env: [] }), ['chdir("/here")', 'execve("/h", ["x", "y"], [])']);
});

Deno.test("planCreateContainerHook() joins what the container has, and stands in its root", () => {
  const spec = {
    ociVersion: "1.0.2",
    linux: { namespaces: [{ type: "pid" as const }, { type: "mount" as const }, { type: "uts" as const }] },
  };
  const { program, joinsPidNamespace } = planCreateContainerHook(spec, { path: "/h" }, "/b/rootfs", facts);
  assert.equal(joinsPidNamespace, true);
  assert.deepEqual(linesFrom(formatProgram(program), "setns(").filter((line) => line[0] !== "#"), [
    "setns(4, CLONE_NEWNS|CLONE_NEWUTS)",
    'chdir("/b/rootfs")',
    'execve("/h", ["/h"], [])',
  ]);
});
