/**
 * Creates a container: state directory, cgroups, and a first process that waits for its start or goes on at once.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { IntelRdt, Spec } from "../../api/oci/runtime_spec.ts";
import { flags } from "../../ffi/constants.ts";
import { type Descriptor, openFile, writeOnce } from "../../ffi/descriptor.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { call } from "../../ffi/syscall.ts";
import { answerHome } from "./answer_home.ts";
import { Cgroup } from "./cgroup/cgroup.ts";
import { endUnit } from "./cgroup/end_unit.ts";
import { readHierarchies } from "./cgroup/hierarchies.ts";
import { permittedPlaces } from "./cgroup/permitted.ts";
import { settingsWithoutEffect } from "./cgroup/settings.ts";
import { type ContainerState, StateDirectory } from "./container_state.ts";
import { leaveHost } from "./delete.ts";
import { gatherFacts } from "./gather_facts.ts";
import { hasHooks, needsHostRootfs } from "./hooks/hook_state.ts";
import { launch, type Launched, makeGo, type Preserved, type Streams } from "./launch.ts";
import type { Limit, RootSource } from "./plan/facts.ts";
import { needsDetachedRoot } from "./plan/detached_root.ts";
import { openNamespace } from "./open_namespace.ts";
import { isIdMapped } from "./plan/id_maps.ts";
import { mountNamespaceOf } from "./plan/mount_namespace.ts";
import { plan, unifiedCgroup } from "./plan/plan.ts";
import type { CompiledFilter } from "./seccomp/compile.ts";
import { filterOf } from "./seccomp/filter_of.ts";
import { processStat } from "./status.ts";
import { streamNames } from "./stream_names.ts";

/** What a container is made from. */
export interface CreateOptions {
  /** Directory of all containers' states. */
  stateRoot: string;
  id: string;
  /** Validated, see `parseSpec`. */
  spec: Spec;
  /** A file that holds this spec and that nobody else changes; without one a copy is kept with the state. */
  specFile?: string;
  /** Absolute. */
  bundle: string;
  root: RootSource;
  streams: Streams;
  /** The compiled form of the spec's seccomp profile, where the caller has it already. */
  filter?: CompiledFilter | undefined;
  /** Whether the process waits for `start`, also of another process than this one. */
  start: "fifo" | "at once";
  /** Whether the container is killed when this process ends. */
  dieWithParent: boolean;
  /** Whether this process starts children in no other way any more, see `spawn`. */
  alone: boolean;
  /** The caller's own limit of open files. */
  openFiles?: Limit | undefined;
  /** Descriptors of this process that the container's gets from 3 on. */
  preserved?: Preserved | undefined;
  /** Whether the container gets a session keyring of its own; it does unless this is false. */
  newKeyring?: boolean | undefined;
  /** Whether the root is changed without pivot_root(2), for a root on a ramfs. */
  noPivot?: boolean | undefined;
  /** Whether systemd makes the cgroups; `linux.cgroupsPath` then names a unit. */
  systemdCgroup?: boolean | undefined;
  /** Whether cgroups and device rules are left out where this user has no right to make them, and no limit asks for them. */
  rootless?: boolean | undefined;
  /** A directory that a mount of the spec names, and that `prepare` makes once that of the state is there. */
  stateMount?: { source: string; prepare: () => void } | undefined;
  /** Directories of the root that are made where they are missing, and can be written also in a read-only root. */
  volumes?: readonly string[] | undefined;
  /** Called when a phase is over, to measure it. */
  phase?: ((name: CreatePhase) => void) | undefined;
}

/** The phases of a creation, in their order; the last one ends with init waiting for its start, or with its execve. */
export type CreatePhase = "facts" | "plan" | "state" | "cgroup" | "clone" | "setup";

/** A container that this process created. */
export interface Created {
  directory: StateDirectory;
  state: ContainerState;
  launched: Launched;
  cgroup: Cgroup;
  spec: Spec;
  /** Properties of the resources that this host's cgroups have no use for, see `settingsWithoutEffect`. */
  withoutEffect: string[];
}

/**
 * Creates the container, with the hooks that belong to it. With `start: "at once"` it returns when the user's command
 * runs. On failure nothing is left.
 *
 * Throws `AlreadyExists` for an id in use, `FailedPrecondition` for what the spec asks for and this host does not have,
 * {@link ProgramFailure} for a step that failed in the new process.
 */
export async function createContainer(reactor: Reactor, options: CreateOptions): Promise<Created> {
  const { spec, id, bundle } = options;
  const resctrl = spec.linux?.intelRdt === undefined ? undefined : await groupFor(spec.linux.intelRdt, id);
  const unit = options.systemdCgroup ? await unitFor(spec, id) : undefined;
  const cgroup = unit === undefined ? cgroupOf(options) : Cgroup.fromRecord(unit.directories);
  if (unit !== undefined) cgroup.refuseInUse();
  const filter = options.filter ?? await filterOf(spec);
  // Hooks of the start need a created container.
  const waits = options.start === "fifo" || hasHooks(spec, "startContainer", "poststart");
  if (options.root.kind !== "directory" && needsHostRootfs(spec)) {
    throw new Failure("FailedPrecondition", "hooks need the root file system to be mounted on the host");
  }
  using detached = needsDetachedRoot(spec, options.root) ? await openRoot(reactor, options.root) : undefined;
  using idMapped = spec.mounts?.some(isIdMapped) ? await openIdMaps(reactor, options) : undefined;
  // A terminal is the container's own.
  const names = options.streams.console === undefined ? streamNames(options.streams) : undefined;
  const facts = gatherFacts({
    ...options,
    nullStreams: names && [0, 1, 2].filter((number) => names[number] === "/dev/null"),
    plainLines: options.streams.plainLines,
    idMapped: idMapped?.keys,
    start: waits ? "fifo" : "at once",
    cgroups: cgroup.places,
    inUnit: unit !== undefined,
    resctrl: resctrl?.record.joins,
    ...(filter === undefined ? {} : { filter }),
  });
  options.phase?.("facts");
  const planned = plan(spec, facts);
  options.phase?.("plan");
  const hostMount = mountNamespaceOf(spec) === "host's" ? await hostMountOf(options.root) : undefined;
  const directory = new StateDirectory(options.stateRoot, id);
  directory.create();
  let launched: Launched | undefined;
  let state: ContainerState | undefined;
  let hasGroup = false;
  try {
    state = {
      id,
      pid: 0,
      pidStart: "",
      created: new Date().toISOString(),
      bundle,
      rootfs: options.root.kind === "directory" ? options.root.path : options.root.mountpoint,
      // A runtime that is killed from here on leaves what `delete` needs, cgroups that are not made yet included.
      cgroup: cgroup.toRecord().map((place) => ({ ...place, made: true })),
      ...(unit === undefined ? {} : { unit: unit.record }),
      ...(resctrl === undefined ? {} : { resctrl: resctrl.record }),
      ...(hostMount === undefined ? {} : { hostMount }),
      ...(options.newKeyring === false ? { noNewKeyring: true } : {}),
      specFile: options.specFile ?? directory.writeSpec(spec),
      ...(names === undefined ? {} : { streams: names }),
    };
    directory.write(state);
    options.stateMount?.prepare();
    options.phase?.("state");
    if (unit === undefined) {
      cgroup.create();
      state.cgroup = cgroup.toRecord();
      cgroup.apply(spec.linux?.resources ?? {}, spec.linux?.devices, options.rootless);
    }
    if (resctrl !== undefined) {
      resctrl.make();
      hasGroup = true;
    }
    options.phase?.("cgroup");
    using start = waits ? makeFifo(directory.fifo) : undefined;
    using go = planned.stops.length > 0 ? makeGo() : undefined;
    using pidNamespace = planned.pidNamespace === undefined ? undefined : openNamespace(planned.pidNamespace);
    launched = launch({
      program: planned.program,
      streams: options.streams,
      dieWithParent: options.dieWithParent,
      alone: options.alone,
      cgroup: unifiedCgroup(facts)?.path,
      pidNamespace,
      ...(start === undefined ? {} : { start }),
      ...(go === undefined ? {} : { go: go.read }),
      idMapped: idMapped?.mounts,
      root: detached,
      preserved: options.preserved,
    });
    if (planned.generation !== undefined) {
      const { nextGeneration } = await import("./next_generation.ts");
      launched = await nextGeneration(reactor, launched, planned.generation);
    }
    state.pid = launched.child.pid;
    state.pidStart = processStat(state.pid)?.start ?? "";
    directory.write(state);
    options.phase?.("clone");
    for (const stop of planned.stops) {
      if (stop.kind === "home") {
        await answerHome(reactor, stop, { launched, go: go!.write.number, isPaused: () => false });
        writeOnce(go!.write.number, new Uint8Array([0x67]));
        continue;
      }
      const { performStop } = await import("./perform_stop.ts");
      await launched.settled(reactor, true);
      await performStop(stop, { spec, state, launched, cgroup, unit, rootless: options.rootless });
      writeOnce(go!.write.number, new Uint8Array([0x67]));
    }
    await launched.settled(reactor, waits);
    if (waits && options.start === "at once") {
      const { startContainer } = await import("./start.ts");
      await startContainer(directory, options.openFiles);
      await launched.settled(reactor, false);
    }
    options.phase?.("setup");
    const withoutEffect = settingsWithoutEffect(spec.linux?.resources ?? {}, isPure(cgroup) ? 2 : 1);
    return { directory, state, launched, cgroup, spec, withoutEffect };
  } catch (error) {
    if (launched !== undefined) {
      await launched.kill(reactor);
      launched.close();
    }
    if (unit !== undefined && cgroup.places.some(({ made }) => made)) await endUnit(unit.record);
    await cgroup.remove();
    if (hasGroup) resctrl?.undo();
    if (hostMount !== undefined) await leaveHost(hostMount);
    directory.remove();
    if (state !== undefined && hasHooks(spec, "poststop")) {
      const { runPoststopHooks } = await import("./hooks/run_hooks.ts");
      // The failure that ended the container is what the caller is told of.
      await runPoststopHooks({ spec, state }, () => {});
    }
    throw error;
  }
}

/** A path that the spec names is made, or is an error. */
function cgroupOf({ spec, id, rootless }: CreateOptions): Cgroup {
  const cgroup = Cgroup.at(readHierarchies(), spec.linux?.cgroupsPath, id);
  return rootless && !spec.linux?.cgroupsPath ? Cgroup.fromRecord(permittedPlaces(cgroup.places)) : cgroup;
}

/** Loaded only where it is asked for: other starts are not to wait for it. */
async function unitFor(spec: Spec, id: string) {
  const { planUnit } = await import("./cgroup/systemd/unit.ts");
  return await planUnit(spec, id);
}

/** Loaded only where it is asked for. */
async function groupFor(rdt: IntelRdt, id: string) {
  const [{ readResctrl }, { makeGroup, planGroup, undoGroup }] = await Promise.all([
    import("./resctrl/host.ts"),
    import("./resctrl/group.ts"),
  ]);
  const planned = planGroup(rdt, id, readResctrl());
  return { record: planned.record, make: () => makeGroup(planned), undo: () => undoGroup(planned) };
}

async function hostMountOf(root: RootSource) {
  const { expectHostMount } = await import("./host_mount.ts");
  return expectHostMount(root);
}

async function openRoot(reactor: Reactor, root: RootSource) {
  const { openDetachedRoot } = await import("./detached_root.ts");
  return await openDetachedRoot(reactor, root);
}

async function openIdMaps(reactor: Reactor, { spec, bundle }: CreateOptions) {
  const { openIdMappedMounts } = await import("./id_mapped_mounts.ts");
  return await openIdMappedMounts(reactor, spec, bundle);
}

/** The fifo that init waits on. Opened for both directions, so that it waits also while nobody holds the other end. */
function makeFifo(path: string): Descriptor {
  const mask = call("umask", 0);
  try {
    call("mknodat", flags("AT_FDCWD"), path, flags("S_IFIFO") | 0o622, 0);
  } finally {
    call("umask", mask);
  }
  return openFile(path, flags("O_RDWR"));
}

/** Whether the host has cgroups of version 2 only. */
function isPure(cgroup: Cgroup): boolean {
  return cgroup.places.some(({ version, name }) => version === 2 && name === "");
}
