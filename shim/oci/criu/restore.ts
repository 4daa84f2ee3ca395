/**
 * Makes a container again from what a checkpoint has saved of it.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { flags } from "../../../ffi/constants.ts";
import { Descriptor } from "../../../ffi/descriptor.ts";
import { openPidfd, signalPidfd, waitForChild } from "../../../ffi/process.ts";
import type { Reactor } from "../../../ffi/reactor.ts";
import { sendDescriptor } from "../../../ffi/send_descriptor.ts";
import { Cgroup } from "../cgroup/cgroup.ts";
import { endUnit } from "../cgroup/end_unit.ts";
import { readHierarchies } from "../cgroup/hierarchies.ts";
import { settingsWithoutEffect } from "../cgroup/settings.ts";
import type { PlannedUnit } from "../cgroup/systemd/unit.ts";
import { type ContainerState, StateDirectory } from "../container_state.ts";
import type { Streams } from "../launch.ts";
import { openNamespace } from "../open_namespace.ts";
import { resolveInRoot } from "../resolve_in_root.ts";
import { processStat } from "../status.ts";
import { streamNames } from "../stream_names.ts";
import { criuVersion, requireFeature } from "./criu_abilities.ts";
import { withLog } from "./criu_log.ts";
import type { RestoreFlags } from "./criu_options.ts";
import { inheritedStreams, readStreamNames } from "./descriptors.ts";
import { restoredMounts } from "./external_mounts.ts";
import { addOwnMounts, addRootAt, makeMountPoints } from "./mount_points.ts";
import { type RestoredNamespaces, restoredNamespaces } from "./namespaces.ts";
import { logNames, restoreRequest } from "./requests.ts";
import { CriuSession, firstExtra, type Notice } from "./session.ts";

/** What a container is restored from, besides the images. */
export interface RestoreOptions {
  readonly flags: RestoreFlags;
  readonly stateRoot: string;
  readonly id: string;
  /** Validated, see `parseSpec`. */
  readonly spec: Spec;
  /** Absolute, as is the directory of the root. */
  readonly bundle: string;
  readonly root: string;
  readonly streams: Streams;
  readonly systemdCgroup: boolean;
  /** Whether this process starts children in no other way any more, see `spawn`. */
  readonly alone: boolean;
}

/** A container that this process has restored; its first process is a child of this one. */
export interface Restored {
  readonly directory: StateDirectory;
  readonly state: ContainerState;
  readonly cgroup: Cgroup;
  readonly spec: Spec;
  readonly pidfd: Descriptor;
  /** Properties of the resources that this host's cgroups have no use for, see `settingsWithoutEffect`. */
  readonly withoutEffect: string[];
}

/** From this version on the LSM's words can be others than they were. */
const changesLsm = 31_600;

/**
 * Restores the container, which runs then. On failure nothing is left, and what criu has said is in the message, with the
 * path of its log on the last line.
 *
 * Throws `FailedPrecondition` where criu is missing or cannot do it, `AlreadyExists` for an id in use, `NotFound` where
 * there is no checkpoint.
 */
export async function restoreContainer(reactor: Reactor, options: RestoreOptions): Promise<Restored> {
  const { flags: asked, id, spec, bundle, root } = options;
  if (spec.linux?.intelRdt !== undefined) {
    throw new Failure("NotImplemented", "linux.intelRdt: restored processes cannot be put into a class of resctrl");
  }
  const version = await criuVersion(reactor, asked.program, options.alone);
  for (const [flag, value] of [["lsm-profile", asked.lsmProfile], ["lsm-mount-context", asked.lsmMountContext]]) {
    if (value !== undefined && version < changesLsm) {
      throw new Failure("FailedPrecondition", `--${flag} requires at least CRIU 3.16`);
    }
  }
  if (asked.lazyPages) await requireFeature(reactor, asked.program, options.alone, "lazyPages");
  const namespaces = restoredNamespaces(spec, version);
  const streams = readStreamNames(asked.imagePath);
  const unit = options.systemdCgroup ? await unitFor(spec, id) : undefined;
  const cgroup = unit === undefined
    ? Cgroup.at(readHierarchies(), spec.linux?.cgroupsPath, id)
    : Cgroup.fromRecord(unit.directories);
  if (unit !== undefined) cgroup.refuseInUse();
  const directory = new StateDirectory(options.stateRoot, id);
  directory.create();
  const restoration = new Restoration(reactor, options, { directory, cgroup, unit, namespaces, streams });
  try {
    directory.write(restoration.state);
    if (unit === undefined) {
      cgroup.create();
      restoration.state.cgroup = cgroup.toRecord();
      cgroup.apply(spec.linux?.resources ?? {}, spec.linux?.devices);
    }
    await makeMountPoints(reactor, { spec, bundle, root, alone: options.alone });
    return await restoration.perform();
  } catch (error) {
    await restoration.undo();
    throw error;
  }
}

/** Loaded only where it is asked for. */
async function unitFor(spec: Spec, id: string): Promise<PlannedUnit> {
  const { planUnit } = await import("../cgroup/systemd/unit.ts");
  return await planUnit(spec, id);
}

/** What has been found out before anything is made. */
interface Known {
  readonly directory: StateDirectory;
  readonly cgroup: Cgroup;
  readonly unit: PlannedUnit | undefined;
  readonly namespaces: RestoredNamespaces;
  /** Names of the streams at the dump. */
  readonly streams: readonly string[];
}

/** One restoration under way. */
class Restoration {
  readonly state: ContainerState;
  #pidfd: Descriptor | undefined;

  constructor(readonly reactor: Reactor, readonly options: RestoreOptions, readonly known: Known) {
    const { id, bundle, root, spec, streams } = options;
    const { cgroup, directory, unit } = known;
    this.state = {
      id,
      pid: 0,
      pidStart: "",
      created: new Date().toISOString(),
      bundle,
      rootfs: root,
      // A runtime that is killed from here on leaves what `delete` needs, cgroups that are not made yet included.
      cgroup: cgroup.toRecord().map((place) => ({ ...place, made: true })),
      ...(unit === undefined ? {} : { unit: unit.record }),
      specFile: directory.writeSpec(spec),
      ...(streams.console === undefined ? { streams: streamNames(streams) } : {}),
    };
  }

  async perform(): Promise<Restored> {
    const { flags: asked, spec, streams, alone, root } = this.options;
    const { cgroup, directory, namespaces } = this.known;
    const { imagePath, workPath } = asked;
    if (workPath !== undefined) Deno.mkdirSync(workPath, { recursive: true, mode: 0o700 });
    const place = `${directory.path}/criu-root`;
    Deno.mkdirSync(place, { mode: 0o755 });
    const opened: Descriptor[] = [];
    try {
      for (const { path } of namespaces.opened) opened.push(givenNamespace(path));
      const session = CriuSession.start(this.reactor, {
        program: asked.program,
        streams,
        extra: opened,
        // The root has to be a mount point, and what is mounted for criu is nobody else's.
        mounts: (program) => {
          addOwnMounts(program);
          addRootAt(program, root, place);
        },
        directories: workPath === undefined ? [imagePath] : [imagePath, workPath],
        alone,
      });
      const [images, work] = session.directories;
      await this.#converse(session, {
        directories: { images: images!.number, work: work?.number },
        annotations: spec.annotations,
        root: place,
        mounts: restoredMounts(spec, {
          bundle: this.options.bundle,
          cgroups: cgroup.places,
          resolve: (path) => resolveInRoot(root, path),
        }),
        inherited: [
          ...inheritedStreams(this.known.streams),
          ...namespaces.opened.map(({ key }, index) => ({ key, fd: firstExtra + index })),
        ],
        joined: namespaces.joined,
      });
    } catch (error) {
      throw withLog(error, `${workPath ?? imagePath}/${logNames.restore}`);
    } finally {
      for (const descriptor of opened) descriptor.close();
      Deno.removeSync(place);
    }
    const pidfd = this.#pidfd;
    if (pidfd === undefined) throw new Failure("Aborted", "criu has restored no process");
    const isPure = cgroup.places.some(({ version, name }) => version === 2 && name === "");
    const withoutEffect = settingsWithoutEffect(spec.linux?.resources ?? {}, isPure ? 2 : 1);
    return { directory, state: this.state, cgroup, spec, pidfd, withoutEffect };
  }

  async #converse(
    session: CriuSession,
    facts: Omit<Parameters<typeof restoreRequest>[1], "cgroupRoots">,
  ): Promise<void> {
    const prepare = async () => {
      await this.#joinCgroups(session.pid);
      // What criu restores goes below the places where it is itself.
      const cgroupRoots = cgroupRootsOf(Deno.readTextFileSync(`/proc/${session.pid}/cgroup`));
      return restoreRequest(this.options.flags, { ...facts, cgroupRoots });
    };
    await session.perform(prepare, { notice: (notice) => this.#noticed(notice) });
  }

  async #joinCgroups(pid: number): Promise<void> {
    const { cgroup, unit } = this.known;
    if (unit !== undefined) {
      await unit.start(pid);
      cgroup.createInUnit();
      cgroup.apply(unit.resources, this.options.spec.linux?.devices);
      this.state.cgroup = cgroup.toRecord();
    }
    for (const file of cgroup.joinFiles) Deno.writeTextFileSync(file, String(pid), { create: false });
  }

  async #noticed({ script, pid, descriptor }: Notice): Promise<void> {
    const { spec, streams } = this.options;
    if (script === "orphan-pts-master" && descriptor !== undefined && streams.console !== undefined) {
      sendDescriptor(streams.console, descriptor.number, "orphan-pts-master");
    }
    if (script === "setup-namespaces" && spec.hooks !== undefined) {
      const { runRuntimeHooks } = await import("../hooks/run_hooks.ts");
      const state = { ...this.state, pid };
      await runRuntimeHooks("prestart", { spec, state });
      await runRuntimeHooks("createRuntime", { spec, state });
    }
    if (script === "post-restore") this.#noteProcess(pid);
  }

  /** It stands still, for as long as criu waits for this. */
  #noteProcess(pid: number): void {
    const { directory } = this.known;
    this.#pidfd = new Descriptor(openPidfd(pid));
    this.state.pid = pid;
    this.state.pidStart = processStat(pid)?.start ?? "";
    this.state.created = new Date().toISOString();
    const spec = withTimeNamespace(this.options.spec, pid);
    if (spec !== this.options.spec) directory.writeSpec(spec);
    directory.write(this.state);
  }

  /** Removes what was made. */
  async undo(): Promise<void> {
    const { cgroup, directory, unit } = this.known;
    if (this.#pidfd !== undefined) {
      signalPidfd(this.#pidfd.number, flags("SIGKILL"));
      await waitForChild(this.reactor, this.#pidfd.number);
      this.#pidfd.close();
    }
    if (cgroup.places.some(({ made }) => made)) {
      if (cgroup.processes().length > 0) cgroup.signalAll(flags("SIGKILL"));
      if (unit !== undefined) await endUnit(unit.record);
    }
    await cgroup.remove();
    directory.remove();
  }
}

/** criu makes a time namespace for what it restores: whoever joins the container later joins that as well. */
function withTimeNamespace(spec: Spec, pid: number): Spec {
  const namespaces = spec.linux?.namespaces ?? [];
  if (namespaces.some(({ type }) => type === "time")) return spec;
  try {
    if (Deno.readLinkSync(`/proc/${pid}/ns/time`) === Deno.readLinkSync("/proc/self/ns/time")) return spec;
  } catch (error) {
    // A kernel before 5.6 has none.
    if (error instanceof Deno.errors.NotFound) return spec;
    throw error;
  }
  return { ...spec, linux: { ...spec.linux, namespaces: [...namespaces, { type: "time" }] } };
}

function givenNamespace(path: string): Descriptor {
  try {
    return openNamespace(path);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("NotFound", `Requested namespace ${path} does not exist`, { cause: error });
  }
}

/** The places of a process by controller; that of version 2 has none. */
export function cgroupRootsOf(text: string): { controller: string; path: string }[] {
  return text.split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) return [];
    return controllers.split(",").map((controller) => ({ controller, path }));
  });
}
