/**
 * The plans of hooks' processes.
 *
 * @module
 */
import type { Hook, Spec } from "../../../api/oci/runtime_spec.ts";
import { flag, textArray } from "../../../ffi/program/program.ts";
import { namespaceFlags } from "../plan/join.ts";
import { addCgroups, beginChild } from "../plan/plan.ts";
import { addNamespaceRoot } from "../plan/user_namespace.ts";
import { type ExecFacts, type ExecPlan, planExec } from "../plan/plan_exec.ts";

/** What every hook's plan needs to know. */
export type HookFacts = Pick<ExecFacts, "arch" | "ignoredSignals" | "cgroups">;

/** The arguments of a hook: verbatim, the path where there are none. */
function argumentsOf({ path, args }: Hook): readonly string[] {
  return args === undefined || args.length === 0 ? [path] : args;
}

/** A hook in the host's namespaces: a child of the runtime with its environment and working directory. */
export function planRuntimeHook(
  hook: Hook,
  facts: HookFacts,
  own: { environment: readonly string[]; cwd: string },
): ExecPlan {
  const { program } = beginChild([], { ...facts, cgroups: [] }, { start: false, life: false, console: false });
  program.add({ call: "chdir", args: [own.cwd], does: `enter the directory "${own.cwd}"` });
  addHookExec(program, hook, hook.env ?? own.environment);
  return { program, joinsPidNamespace: false, stops: [] };
}

/**
 * A hook in the namespaces of a container whose root is not changed yet: the host's files are all there, and the new
 * root is mounted at `rootfs`. It has every capability. `init` is a given number, as for `planExec`.
 */
export function planCreateContainerHook(spec: Spec, hook: Hook, rootfs: string, facts: HookFacts): ExecPlan {
  const { program, descriptors } = beginChild([], facts, { start: false, life: false, console: false, init: true });
  addCgroups(program, facts);
  // Namespaces that the container only joined are joined again: the spec names each that is not the runtime's own.
  const types = new Set((spec.linux?.namespaces ?? []).map(({ type }) => type));
  const joined = [...types].filter((type) => type !== "pid" && type !== "time");
  program.add({
    call: "setns",
    args: [descriptors.init!, flag(...joined.map((type) => namespaceFlags[type]))],
    does: "join the container's namespaces",
  });
  if (types.has("user")) addNamespaceRoot(program);
  program.add({ call: "chdir", args: [rootfs], does: `enter the root file system "${rootfs}"` });
  addHookExec(program, hook, hook.env ?? spec.process?.env ?? []);
  return { program, joinsPidNamespace: types.has("pid"), stops: [] };
}

/** A hook in the created container, with the user, capabilities and limits of its first process. */
export function planStartContainerHook(spec: Spec, hook: Hook, facts: ExecFacts): ExecPlan {
  // A listener is for the container's own processes: it would be given a descriptor for each hook, with no container in it.
  const { filter, ...others } = facts;
  const known = filter === undefined || filter.listener ? others : facts;
  const own = spec.process ?? { user: { uid: 0, gid: 0 }, cwd: "/" };
  const process = { ...own, args: [...argumentsOf(hook)], env: [...hook.env ?? own.env ?? []], terminal: false };
  return planExec(spec, process, known, hook.path);
}

function addHookExec(program: ExecPlan["program"], hook: Hook, environment: readonly string[]): void {
  program.add({
    call: "execve",
    args: [hook.path, textArray(argumentsOf(hook)), textArray(environment)],
    does: `fork/exec ${hook.path}`,
  });
}
