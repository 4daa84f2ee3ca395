/**
 * Runs the hooks of each place of a container's life, in order; the first failure ends a list.
 *
 * @module
 */
import { Failure, messageOf } from "../../../api/errors.ts";
import type { Hook, Spec } from "../../../api/oci/runtime_spec.ts";
import { hostArch } from "../../../ffi/arch.ts";
import { Descriptor } from "../../../ffi/descriptor.ts";
import { readLaunch } from "../../../ffi/launch.ts";
import { openPidfd } from "../../../ffi/process.ts";
import { Reactor } from "../../../ffi/reactor.ts";
import { Cgroup } from "../cgroup/cgroup.ts";
import type { ContainerState } from "../container_state.ts";
import { gatherExecFacts } from "../exec_facts.ts";
import { ignoredSignals } from "../gather_facts.ts";
import type { Limit } from "../plan/facts.ts";
import { unifiedCgroup } from "../plan/plan.ts";
import { type HookPlace, hookState } from "./hook_state.ts";
import { type HookFacts, planCreateContainerHook, planRuntimeHook, planStartContainerHook } from "./plan_hook.ts";
import { type HookRun, runHook } from "./run_hook.ts";

/** A container whose hooks are to be run. */
export interface HookedContainer {
  spec: Spec;
  state: ContainerState;
}

/** Places of hooks that run in the host's namespaces. */
type RuntimePlace = "prestart" | "createRuntime" | "poststart" | "poststop";

/**
 * Runs the hooks of a place outside of the container. Throws `Aborted` that names the hook by its place and number, in
 * runc's words.
 */
export async function runRuntimeHooks(place: RuntimePlace, { spec, state }: HookedContainer): Promise<void> {
  const own = { environment: ownEnvironment(), cwd: Deno.cwd() };
  const input = stateText(place, spec, state, place === "poststop" ? 0 : state.pid);
  using reactor = new Reactor();
  await eachHook(place, spec.hooks?.[place], async (hook) => {
    const plan = planRuntimeHook(hook, factsOf(state), own);
    await runHook(reactor, plan, { input, timeout: hook.timeout });
  });
}

/**
 * The poststop hooks: the container is gone, so each that fails is reported to `warn` and the next one runs
 * (runtime-spec, lifecycle step 13).
 */
export async function runPoststopHooks(container: HookedContainer, warn: (message: string) => void): Promise<void> {
  for (const [index, hook] of (container.spec.hooks?.["poststop"] ?? []).entries()) {
    const spec = { ...container.spec, hooks: { poststop: [hook] } };
    try {
      await runRuntimeHooks("poststop", { ...container, spec });
    } catch (error) {
      warn(messageOf(error).replace("hook #0", `hook #${index}`));
    }
  }
}

/** Runs the createContainer hooks: in the namespaces of the container's init, whose root is not changed yet. */
export async function runCreateContainerHooks({ spec, state }: HookedContainer): Promise<void> {
  const facts = factsOf(state);
  await joining(spec, state, "createContainer", async (hook, reactor, common) => {
    await runHook(reactor, planCreateContainerHook(spec, hook, state.rootfs, facts), common);
  });
}

/** Runs the startContainer hooks: in the container as its user's process is to be, before that is executed. */
export async function runStartContainerHooks(
  { spec, state }: HookedContainer,
  openFiles: Limit | undefined,
): Promise<void> {
  // Hooks have the environment that they are given.
  const facts = { ...await gatherExecFacts(spec, state, openFiles), passwd: "" };
  await joining(spec, state, "startContainer", async (hook, reactor, common) => {
    await runHook(reactor, planStartContainerHook(spec, hook, facts), common);
  });
}

/** Runs hooks inside. Init is 1 there where the container has a pid namespace of its own. */
async function joining(
  spec: Spec,
  state: ContainerState,
  place: "createContainer" | "startContainer",
  run: (hook: Hook, reactor: Reactor, common: HookRun) => Promise<void>,
): Promise<void> {
  const ownPids = spec.linux?.namespaces?.some(({ type, path }) => type === "pid" && !path) ?? false;
  const input = stateText(place, spec, state, ownPids ? 1 : state.pid);
  using init = new Descriptor(openPidfd(state.pid));
  using reactor = new Reactor();
  const cgroup = unifiedCgroup(factsOf(state))?.path;
  await eachHook(
    place,
    spec.hooks?.[place],
    (hook) => run(hook, reactor, { input, timeout: hook.timeout, init, cgroup }),
  );
}

async function eachHook(
  place: HookPlace,
  hooks: readonly Hook[] | undefined,
  run: (hook: Hook) => Promise<void>,
): Promise<void> {
  for (const [index, hook] of (hooks ?? []).entries()) {
    try {
      await run(hook);
    } catch (cause) {
      throw new Failure("Aborted", `error running ${place} hook #${index}: ${messageOf(cause)}`, { cause });
    }
  }
}

function stateText(place: HookPlace, { annotations }: Spec, { id, bundle }: ContainerState, pid: number): string {
  return hookState(place, { id, bundle, pid, ...(annotations === undefined ? {} : { annotations }) });
}

function factsOf(state: ContainerState): HookFacts {
  return { arch: hostArch, ignoredSignals: ignoredSignals(), cgroups: Cgroup.fromRecord(state.cgroup).places };
}

/** The environment that this process was started with, without what its launcher added. */
function ownEnvironment(): string[] {
  return [...readLaunch().environment].map(([name, value]) => `${name}=${value}`);
}
