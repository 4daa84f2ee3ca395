import assert from "node:assert/strict";
import { Failure } from "../../../api/errors.ts";
import type { Process, Spec } from "../../../api/oci/runtime_spec.ts";
import { Assembly } from "../../../ffi/program/assemble.ts";
import { formatProgram } from "../../../ffi/program/format.ts";
import { devicePolicy } from "../cgroup/device_rules.ts";
import { settingsWithoutEffect } from "../cgroup/settings.ts";
import { settingsV1 } from "../cgroup/settings_v1.ts";
import { settingsV2 } from "../cgroup/settings_v2.ts";
import { annotationProperties } from "../cgroup/systemd/annotation_properties.ts";
import { resourceProperties } from "../cgroup/systemd/resource_properties.ts";
import { unitOf } from "../cgroup/systemd/unit_name.ts";
import { planStartContainerHook } from "../hooks/plan_hook.ts";
import { hasHooks, needsHostRootfs } from "../hooks/hook_state.ts";
import type { Facts } from "../plan/facts.ts";
import { plan } from "../plan/plan.ts";
import { execProcess, mayBeTraced, planExec } from "../plan/plan_exec.ts";
import { planGroup } from "../resctrl/group.ts";
import { compileSeccomp } from "../seccomp/compile.ts";
import { mergeResources, withRelated } from "../update.ts";
import { stringifyJson } from "./json.ts";
import { fuzzSeed, Mutator, realSpecs } from "./mutation_fixture.ts";
import { parseProcess, parseResources, parseSpec } from "./parse.ts";

const facts: Facts = {
  arch: "x86_64",
  id: "one",
  bundle: "/bundle",
  root: { kind: "directory", path: "/bundle/rootfs" },
  sources: new Map([["/host/dir", "directory"], ["/sys", "directory"]]),
  destinations: new Map(),
  coveredModes: new Map(),
  kernelFiles: new Map(),
  canMakeNodes: true,
  cgroups: [{ version: 1, name: "pids", path: "/sys/fs/cgroup/pids/one" }],
  ignoredSignals: [],
  lastCapability: 40,
  passwd: "root:x:0:0:root:/root:/bin/sh\n",
  start: "fifo",
  dieWithParent: false,
  newKeyring: true,
};

const { root: _root, ...execFacts } = facts;

/** Everything pure that is done with a spec between its text and the first system call. */
const uses: readonly ((spec: Spec) => unknown)[] = [
  (spec) => new Assembly(plan(spec, { ...facts, idMapped: [] }).program, "x86_64"),
  (spec) => plan(spec, { ...facts, arch: "aarch64", start: "at once", inUnit: true, canMakeNodes: false }),
  (spec) => settingsV1(spec.linux?.resources ?? {}),
  (spec) => settingsV2(spec.linux?.resources ?? {}),
  (spec) => settingsWithoutEffect(spec.linux?.resources ?? {}, 2),
  (spec) => devicePolicy(spec.linux?.resources?.devices ?? [], spec.linux?.devices),
  (spec) => resourceProperties(spec.linux?.resources ?? {}, 2, 252),
  (spec) => annotationProperties(spec.annotations),
  (spec) => unitOf(spec.linux?.cgroupsPath, "one", false),
  (spec) => spec.linux?.intelRdt && planGroup(spec.linux.intelRdt, "one", undefined),
  (spec) => [hasHooks(spec, "prestart", "poststop"), needsHostRootfs(spec)],
  (spec) => spec.hooks?.startContainer?.map((hook) => planStartContainerHook(spec, hook, execFacts)),
  (spec) =>
    spec.process &&
    planExec(spec, execProcess(spec, spec.process), { ...execFacts, shielded: mayBeTraced(spec, spec.process) }),
];

/** The same for what takes longer. */
const slowUses: readonly ((spec: Spec) => unknown)[] = [
  (spec) => formatProgram(plan(spec, { ...facts, start: "at once" }).program),
  (spec) => parseSpec(stringifyJson(spec)),
  (spec) => spec.linux?.seccomp && compileSeccomp(spec.linux.seccomp, "x86_64"),
];

/** Runs it; gives whether it succeeded. Fails where it throws anything but a sentence. */
function survives(what: string, text: string, body: () => unknown): boolean {
  try {
    body();
    return true;
  } catch (error) {
    const isSentence = error instanceof Failure && error.message !== "" &&
      !/undefined|\[object|NaN/.test(error.message);
    if (isSentence) return false;
    const shown = error instanceof Error ? error.stack : error;
    assert.fail(`${what} answers with ${shown}\nfor ${text}`);
  }
}

const seed = fuzzSeed();
/** How long each test goes on: more rounds find more. */
const timeMs = Number(Deno.env.get("BARGE_FUZZ_MS") ?? 2000);

Deno.test(`realSpecs() are taken, and planned`, () => {
  for (const spec of realSpecs()) parseSpec(JSON.stringify(spec));
  const [, ...others] = realSpecs();
  for (const spec of others) plan(parseSpec(JSON.stringify(spec)), facts);
});

Deno.test(`parseSpec(), plan() and the rest take or refuse whatever spec comes (BARGE_FUZZ_SEED=${seed})`, () => {
  const mutator = new Mutator(seed);
  const specs = realSpecs();
  let rounds = 0, taken = 0;
  for (const end = performance.now() + timeMs; performance.now() < end; rounds++) {
    const text = JSON.stringify(mutator.mutate(specs[mutator.dice(specs.length)])) ?? "";
    let spec: Spec | undefined;
    if (!survives("parseSpec()", text, () => spec = parseSpec(text)) || spec === undefined) continue;
    taken++;
    for (const use of taken % 16 === 0 ? [...uses, ...slowUses] : uses) survives(String(use), text, () => use(spec!));
  }
  console.log(`${rounds} specs, ${taken} of them taken`);
  assert(taken > rounds / 20 && taken < rounds, `${taken} of ${rounds} taken`);
});

Deno.test(`parseProcess() and parseResources() take or refuse whatever comes (BARGE_FUZZ_SEED=${seed})`, () => {
  const mutator = new Mutator(seed);
  const [{ process, linux }] = realSpecs() as [Spec];
  for (const end = performance.now() + timeMs / 2; performance.now() < end;) {
    const one = JSON.stringify(mutator.mutate(process)) ?? "";
    let parsed: Process | undefined;
    survives("parseProcess()", one, () => parsed = parseProcess(one));
    if (parsed !== undefined) {
      survives(
        "planExec()",
        one,
        () => planExec({ ociVersion: "1.0.0", linux: { namespaces: [] } }, parsed!, execFacts),
      );
    }
    const other = JSON.stringify(mutator.mutate(linux!.resources)) ?? "";
    survives("parseResources()", other, () => {
      const request = parseResources(other);
      settingsV2(withRelated(request, mergeResources(linux!.resources!, request)));
    });
  }
});

Deno.test("parseSpec() and stringifyJson() survive what is nested too deeply", () => {
  const deep = `${'{"a":['.repeat(100_000)}${"]}".repeat(100_000)}`;
  for (
    const text of [
      `{"ociVersion":"1.0.0","root":{"path":"r"},"x":${deep}}`,
      deep,
      `${deep.slice(0, 300_000)}1234567890123456789`,
    ]
  ) {
    survives("parseSpec()", "deep text", () => stringifyJson(parseSpec(text)));
  }
});
