/**
 * Containers in this process: the OCI runtime as a library.
 *
 * @module
 */
import { Failure, isFailure, messageOf } from "../../api/errors.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import type { Process, Spec } from "../../api/oci/runtime_spec.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { ChildStreams } from "../io/stream_ends.ts";
import { Cgroup } from "../oci/cgroup/cgroup.ts";
import { StateDirectory } from "../oci/container_state.ts";
import { createContainer, type Created } from "../oci/create.ts";
import { releaseContainer } from "../oci/delete.ts";
import { execInContainer } from "../oci/exec.ts";
import { killContainer } from "../oci/kill.ts";
import type { Launched } from "../oci/launch.ts";
import { pauseContainer, resumeContainer } from "../oci/pause.ts";
import type { Limit, RootSource } from "../oci/plan/facts.ts";
import { parseResources } from "../oci/spec/parse.ts";
import { startContainer } from "../oci/start.ts";
import { updateContainer } from "../oci/update.ts";
import type { Children } from "./children.ts";
import { LaunchOutcome } from "./launch_outcome.ts";
import type { AdoptedStatus, Engine, LiveProcess, RestoreSource } from "./engine.ts";

/** What a container is made from. */
export interface LibraryOptions {
  readonly id: string;
  readonly spec: Spec;
  readonly bundle: string;
  readonly stateRoot: string;
  readonly root: RootSource;
  /** The limit of open files of who started the shim. */
  readonly openFiles: Limit | undefined;
  /** Whether systemd makes the cgroups. */
  readonly systemdCgroup: boolean;
  /** Whether the root is changed without pivot_root(2). */
  readonly noPivot?: boolean;
  /** Whether the container gets a session keyring of its own; it does unless this is false. */
  readonly newKeyring?: boolean;
  readonly warn: (text: string) => void;
}

/** See {@link Engine}. */
export class LibraryEngine implements Engine {
  readonly #directory: StateDirectory;
  #created: Omit<Created, "launched" | "withoutEffect"> | undefined;

  constructor(readonly reactor: Reactor, readonly children: Children, readonly options: LibraryOptions) {
    this.#directory = new StateDirectory(options.stateRoot, options.id);
  }

  create(streams: ChildStreams): Promise<LiveProcess> {
    return this.children.making(async () => {
      try {
        const { warn, ...known } = this.options;
        const options = { ...known, streams };
        const created = await createContainer(this.reactor, {
          ...options,
          start: "fifo",
          dieWithParent: false,
          alone: true,
        });
        const { launched, withoutEffect, ...kept } = created;
        this.#created = kept;
        for (const name of withoutEffect) warn(`${name} has no effect with this host's cgroups`);
        return this.#follow(launched);
      } catch (error) {
        throw runtimeFailure("create", error);
      }
    });
  }

  #follow(launched: Launched): LiveProcess {
    const outcome = new LaunchOutcome(this.reactor, launched);
    const { pid, pidfd: { number: pidfd } } = outcome;
    const ended = this.children.wait(pid, pidfd).finally(() => outcome.end());
    return { pid, pidfd, ended, failure: () => outcome.failure };
  }

  // deno-lint-ignore require-await -- the interface is asynchronous, and what is thrown must be a rejection
  async adopt(): Promise<AdoptedStatus> {
    const directory = this.#directory, state = directory.read();
    const cgroup = Cgroup.fromRecord(state.cgroup);
    this.#created = { directory, state, cgroup, spec: this.options.spec };
    return { started: !directory.isCreated(), paused: cgroup.state() === "frozen" };
  }

  async start(): Promise<void> {
    try {
      await this.children.making(() => startContainer(this.#directory, this.options.openFiles));
    } catch (error) {
      throw runtimeFailure("start", error);
    }
  }

  exec(_id: string, process: Process, streams: ChildStreams): Promise<LiveProcess> {
    return this.children.making(async () => {
      try {
        const { openFiles } = this.options;
        const options = { process, streams, alone: true, openFiles };
        return this.#follow(await execInContainer(this.reactor, this.#directory, options));
      } catch (error) {
        throw runtimeFailure("exec", error);
      }
    });
  }

  kill(signal: number, all: boolean): Promise<void> {
    try {
      if (all) this.#cgroup().signalAll(signal);
      else killContainer(this.#directory, signal);
      return Promise.resolve();
    } catch (error) {
      if (!isFailure(error, "FailedPrecondition")) return Promise.reject(error);
      return Promise.reject(new Failure("NotFound", "process already finished", { cause: error }));
    }
  }

  #cgroup(): Cgroup {
    return this.#created?.cgroup ?? Cgroup.fromRecord(this.#directory.read().cgroup);
  }

  pause(): Promise<void> {
    return pauseContainer(this.#directory);
  }

  // deno-lint-ignore require-await -- the interface is asynchronous, and what is thrown must be a rejection
  async resume(): Promise<void> {
    resumeContainer(this.#directory);
  }

  async update(resources: string): Promise<void> {
    await updateContainer(this.#directory, parseResources(resources), this.options.warn);
  }

  async restore(source: RestoreSource, streams: ChildStreams): Promise<LiveProcess> {
    const live = await (await this.#program()).restore(source, streams);
    await this.adopt();
    return live;
  }

  async checkpoint(words: readonly string[]): Promise<void> {
    // What is left of the container is removed as that of any other that has ended.
    await (await this.#program()).checkpoint(["--keep", ...words]);
  }

  /** This program's own command line, which drives criu: no shim is to have that in its memory, or to wait for it. */
  async #program(): Promise<Engine> {
    const { id, bundle, stateRoot, systemdCgroup, noPivot = false } = this.options;
    const { ownRuntime } = await import("./own_runtime.ts");
    const { ProgramEngine } = await import("./program_engine.ts");
    const options = Options.create({ systemdCgroup, noPivotRoot: noPivot });
    const own = { words: ownRuntime(), stateRoot };
    return new ProgramEngine(this.reactor, this.children, { id, bundle, options, namespace: "", own });
  }

  pids(): Promise<number[]> {
    return Promise.resolve(this.#cgroup().processes());
  }

  async delete(): Promise<void> {
    if (this.#created === undefined) return;
    try {
      await this.children.making(() => releaseContainer(this.#created!));
    } catch (error) {
      throw runtimeFailure("delete", error);
    }
  }
}

/** The failure as clients of containerd know it from runc: they look for parts of these texts. */
function runtimeFailure(action: "create" | "start" | "exec" | "delete", error: unknown): Failure {
  const step = error instanceof Error && error.name === "ProgramFailure";
  const why = step ? `unable to start container process: ${messageOf(error)}` : messageOf(error);
  const prefix = action === "exec" ? "exec failed: " : `runc ${action} failed: `;
  return new Failure("Unknown", `OCI runtime ${action} failed: ${prefix}${why}`, { cause: error });
}
