/**
 * Runs a further process in a container.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Process } from "../../api/oci/runtime_spec.ts";
import { Descriptor, writeOnce } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { openPidfd } from "../../ffi/process.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { answerHome } from "./answer_home.ts";
import { type ContainerState, specOf, type StateDirectory } from "./container_state.ts";
import { gatherExecFacts } from "./exec_facts.ts";
import { launch, type Launched, makeGo, type Preserved, type Streams } from "./launch.ts";
import type { Limit } from "./plan/facts.ts";
import { unifiedCgroup } from "./plan/plan.ts";
import { isOrdinaryUser } from "./ordinary_user.ts";
import { type ExecFacts, execProcess, mayBeTraced, planExec } from "./plan/plan_exec.ts";
import { isAlive, statusOf } from "./status.ts";

/** What an exec is made from. */
export interface ExecOptions {
  process: Process;
  streams: Streams;
  /** Whether this process starts children in no other way any more, see `spawn`. */
  alone: boolean;
  openFiles?: Limit | undefined;
  /** Cgroups below the container's own that the process joins instead, as `inSubCgroups` takes them. */
  subCgroups?: readonly string[];
  /** Goes on although the container is paused: the process then waits in the frozen cgroup. */
  ignorePaused?: boolean;
  /** Descriptors of this process that the new one gets from 3 on. */
  preserved?: Preserved | undefined;
}

/**
 * Starts the process and returns when it runs. Throws `FailedPrecondition` where the container is stopped or paused,
 * {@link ProgramFailure} for a step that failed.
 */
export async function execInContainer(
  reactor: Reactor,
  directory: StateDirectory,
  options: ExecOptions,
): Promise<Launched> {
  const state = directory.read();
  const status = statusOf(directory, state);
  if (status === "stopped") throw new Failure("FailedPrecondition", "cannot exec in a stopped container");
  if (status === "paused" && !options.ignorePaused) {
    throw new Failure("FailedPrecondition", "cannot exec in a paused container (use --ignore-paused to override)");
  }
  const spec = specOf(state);
  const process = execProcess(spec, options.process);
  using init = new Descriptor(openPidfd(state.pid));
  // The pidfd is init's if init is alive now that it is open; from here on it cannot become another's.
  if (!isAlive(state)) throw new Failure("FailedPrecondition", "cannot exec in a stopped container");
  const known = await gatherExecFacts(spec, state, options.openFiles);
  const facts = options.subCgroups === undefined ? known : await withSubCgroups(known, options.subCgroups);
  const { preserved } = options;
  const planIn = (cgroups: typeof facts.cgroups) =>
    planExec(spec, process, {
      ...facts,
      cgroups,
      ...(options.streams.plainLines ? { plainLines: true } : {}),
      // No ordinary user may join a pid namespace before he is in its user namespace.
      shielded: mayBeTraced(spec, process) || isOrdinaryUser(),
      ...(preserved === undefined ? {} : { preserved }),
    });
  let planned = planIn(facts.cgroups);
  using go = planned.stops.length > 0 ? makeGo() : undefined;
  const launchIn = (cgroup: string | undefined) =>
    launch({
      program: planned.program,
      streams: options.streams,
      dieWithParent: false,
      alone: options.alone,
      cgroup,
      init,
      preserved,
      ...(go === undefined ? {} : { go: go.read }),
      ...(planned.joinsPidNamespace ? { pidNamespace: init } : {}),
    });
  let launched: Launched;
  try {
    launched = launchIn(unifiedCgroup(facts)?.path);
  } catch (error) {
    if (isOrdinaryUser() && isErrno(error, "EACCES")) {
      // His own session is outside of what his service manager may divide: the process stays there, as with runc.
      planned = planIn([]);
      launched = launchIn(undefined);
    } else {
      if (options.subCgroups !== undefined || !isErrno(error, "EBUSY")) throw error;
      launched = launchIn(await innerCgroup(state));
    }
  }
  try {
    if (planned.generation !== undefined) {
      const { nextGeneration } = await import("./next_generation.ts");
      // No container of an ordinary user may trace it, and this process may not look at it before its execve.
      const init = isOrdinaryUser() ? undefined : state.pid;
      launched = await nextGeneration(reactor, launched, planned.generation, init);
    }
    for (const stop of planned.stops) {
      if (stop.kind === "home") {
        const isPaused = () => statusOf(directory, state) === "paused";
        await answerHome(reactor, stop, { launched, go: go!.write.number, isPaused });
      } else {
        const { tellListener } = await import("./tell_listener.ts");
        await launched.settled(reactor, true);
        // An exec has stops of no other kind.
        if (stop.kind === "listener") tellListener(stop, { spec, state, launched, status: "running" });
      }
      writeOnce(go!.write.number, new Uint8Array([0x67]));
    }
    await launched.settled(reactor, false);
  } catch (error) {
    await launched.kill(reactor);
    launched.close();
    throw error;
  }
  return launched;
}

/** Where a process can join a container that has divided its cgroup: where its first process is, as runc does. */
async function innerCgroup(state: ContainerState): Promise<string> {
  const { cgroupOfInit } = await import("./cgroup/init_cgroup.ts");
  const text = Deno.readTextFileSync(`/proc/${state.pid}/cgroup`);
  if (!isAlive(state)) throw new Failure("FailedPrecondition", "cannot exec in a stopped container");
  return cgroupOfInit(state.cgroup, text);
}

/** Loaded only where it is asked for: other calls are not to wait for it. */
async function withSubCgroups(facts: ExecFacts, wanted: readonly string[]): Promise<ExecFacts> {
  const { inSubCgroups } = await import("./cgroup/sub_cgroups.ts");
  return { ...facts, cgroups: inSubCgroups(facts.cgroups, wanted) };
}
