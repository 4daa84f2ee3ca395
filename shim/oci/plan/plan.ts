/**
 * The plan of a container's start: a pure function from a spec and facts to a syscall program.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { NamespaceType, Process, Spec } from "../../../api/oci/runtime_spec.ts";
import type { ConstantName } from "../../../ffi/constants.ts";
import { addHygiene, dieOf, type Placement } from "../../../ffi/program/hygiene.ts";
import { ChildProgram } from "../../../ffi/program/spawn.ts";
import { type Data, flag, type Program, room, type Slot } from "../../../ffi/program/program.ts";
import { hasHooks } from "../hooks/hook_state.ts";
import { addConsole } from "./console.ts";
import { needsDetachedRoot } from "./detached_root.ts";
import { addDevices, addNullStreams } from "./devices.ts";
import type { CgroupPlace, Facts } from "./facts.ts";
import { addDeathSignal, addFinish } from "./finish.ts";
import { asksHome } from "./home.ts";
import { addKeyring, addLoopback, addNames, addOomScore, addSysctls, addTimeNamespace } from "./kernel_settings.ts";
import { addMaskedPaths, addNullDevice, addReadonlyPaths } from "./mask.ts";
import {
  addChroot,
  addHostRoot,
  addJoinedMounts,
  checkHostMounts,
  isHostRoot,
  mountNamespaceOf,
} from "./mount_namespace.ts";
import { addMounts, type Mounted } from "./mounts.ts";
import { setAttributes } from "./new_mounts.ts";
import { addGeneration, addJoinedNamespaces, joinsUserNamespace, namespaceFlags, pidNamespaceToEnter } from "./join.ts";
import { Paths } from "./paths.ts";
import { addMoveRoot, addPivot, addPropagation, addRoot, addRootPropagation } from "./root.ts";
import { addAllCpus, addLabels, addMemoryPolicy, addPersonality, addScheduling } from "./scheduling.ts";
import { type Stop, Stops } from "./stops.ts";
import { addVolumes } from "./volumes.ts";
import { addIdMaps, addNamespaceRoot, hasUserNamespace, openSources } from "./user_namespace.ts";

/** The child's descriptors, by what they are for. */
export interface Descriptors {
  placements: Placement[];
  /** How many of them are there after `execve`. */
  kept: number;
  report: number;
  start: number | undefined;
  life: number | undefined;
  /** Waited on while the runtime runs hooks. */
  go: number | undefined;
  /** Detached mounts with ids mapped, in the order of the facts. */
  idmaps: readonly number[];
  /** The root file system as a detached mount. */
  root: number | undefined;
  console: number | undefined;
  /** A pidfd of the init of the container to be joined. */
  init: number | undefined;
  stub: number;
  /** The first number that is not needed until `execve`. */
  firstUnwanted: number;
}

/** Numbers the descriptors that a child gets: what is needed longest comes first. */
function numberDescriptors(
  wanted: {
    start: boolean;
    life: boolean;
    console: boolean;
    init?: boolean;
    go?: boolean;
    /** Whether `go` is waited on also when everything else has been closed. */
    goLate?: boolean;
    idmaps?: number;
    root?: boolean;
    preserved?: number;
  },
): Descriptors {
  const placements: Placement[] = ["stdin", "stdout", "stderr"].map((from, to) => ({ from, to }));
  for (let index = 0; index < (wanted.preserved ?? 0); index++) {
    placements.push({ from: `kept${index}`, to: 3 + index });
  }
  const kept = placements.length;
  const report = placements.push({ from: "report", to: kept }) - 1;
  const place = (from: string, yes: boolean): number | undefined =>
    yes ? placements.push({ from, to: placements.length }) - 1 : undefined;
  const start = place("start", wanted.start);
  const late = place("go", wanted.go === true && wanted.goLate === true);
  const firstUnwanted = placements.length;
  const life = place("life", wanted.life);
  const console = place("console", wanted.console);
  const init = place("init", wanted.init === true);
  const go = late ?? place("go", wanted.go === true);
  const idmaps = Array.from({ length: wanted.idmaps ?? 0 }, (_, index) => place(`idmap${index}`, true)!);
  const root = place("root", wanted.root === true);
  const stub = placements.push({ from: "stub", to: placements.length }) - 1;
  return { placements, kept, report, start, life, console, init, go, idmaps, root, stub, firstUnwanted };
}

/**
 * A program that clones a child into its cgroup and makes it nobody's memory, with the descriptors that it keeps. With
 * `swapLater` its executable is still to be exchanged.
 */
export function beginChild(
  namespaces: readonly ConstantName[],
  facts: Pick<Facts, "arch" | "cgroups" | "inUnit" | "ignoredSignals">,
  wanted: Parameters<typeof numberDescriptors>[0],
  swapLater = false,
): { program: ChildProgram; descriptors: Descriptors } {
  const program = new ChildProgram(namespaces, unifiedCgroup(facts) !== undefined);
  const descriptors = numberDescriptors(wanted);
  addHygiene(program, {
    arch: facts.arch,
    descriptors: descriptors.placements,
    kept: descriptors.kept,
    ...(swapLater ? {} : { stub: descriptors.stub }),
    ignoredSignals: facts.ignoredSignals,
  });
  return { program, descriptors };
}

/** A container's program, and the place of its pid namespace where it joins one. */
export interface ContainerPlan {
  program: ChildProgram;
  /** Path of a pid namespace that the parent joins around the clone. */
  pidNamespace: string | undefined;
  /** Where the id of the container's own process stands, where the cloned one only joins namespaces and clones that. */
  generation: Data | undefined;
  /** What the new process's descriptors are, by number. */
  placements: readonly Placement[];
  /** Where the new process waits for the runtime, in order; with any, the given number `go` is needed. */
  stops: readonly Stop[];
}

/**
 * Plans the start of the container. The spec has been validated and holds nothing that is unsupported. The program
 * needs the given numbers `stdin`, `stdout`, `stderr`, `report`, `stub`, and `start`, `life`, `console`, `go`, `root`, `idmapN` where
 * facts and spec ask for them.
 *
 * Throws `InvalidArgument` or `NotFound` for what cannot be planned.
 */
export function plan(spec: Spec, facts: Facts): ContainerPlan {
  const { process } = spec;
  const linux = spec.linux ?? {};
  if (process === undefined) throw new Failure("InvalidArgument", "config.json has no process");
  checkHostMounts(spec, facts.root);
  const made = new Set((linux.namespaces ?? []).filter(({ path }) => !path).map(({ type }) => type));
  const flags = cloneFlags(made);
  const joinsUser = joinsUserNamespace(spec);
  const { program, descriptors } = beginChild(joinsUser ? [] : flags, facts, {
    start: facts.start === "fifo",
    life: facts.dieWithParent,
    console: process.terminal === true,
    go: facts.inUnit === true || needsStops(spec) || facts.filter?.listener === true ||
      asksHome(process, facts.passwd),
    goLate: facts.filter?.listener === true,
    idmaps: facts.idMapped?.length ?? 0,
    root: needsDetachedRoot(spec, facts.root),
    preserved: facts.preserved?.numbers.length ?? 0,
  });
  const stops = new Stops(program, descriptors.report, descriptors.go);
  if (descriptors.life !== undefined) addLife(program, descriptors.life);
  addOomScore(program, process.oomScoreAdj);
  const generation = joinsUser ? addGeneration(program, linux, flags, facts.ownedByJoined ?? new Set()) : undefined;
  if (joinsUser && descriptors.life !== undefined) addLife(program, descriptors.life);
  if (facts.inUnit) stops.add({ kind: "unit" }, "the systemd unit");
  addCgroups(program, facts);
  addAllCpus(program);
  if (!joinsUser) addJoinedNamespaces(program, linux);
  if (made.has("cgroup")) {
    program.add({ call: "unshare", args: [flag("CLONE_NEWCGROUP")], does: "make a cgroup namespace" });
  }
  if (made.has("time")) addTimeNamespace(program, linux.timeOffsets);
  addLabels(program, process);
  program.add({ call: "setsid", args: [], does: "begin a session" });
  addJoinedMounts(program, spec);
  const { root, paths, sources } = addRoots(program, spec, facts, stops, descriptors.root);
  if (facts.newKeyring) addKeyring(program, facts.id);
  if (made.has("network")) addLoopback(program);
  addFileSystems(paths, root, spec, process, facts, descriptors, stops, sources);
  addScheduling(program, process);
  addPersonality(program, linux.personality);
  addMemoryPolicy(program, linux.memoryPolicy);
  // As a container of runc: a stop ends it also before its start. In other pid namespaces the kernel sees to that itself.
  if (facts.start === "fifo" && made.has("pid")) {
    dieOf(program, ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"], "let signals end the waiting container");
  }
  addFinish(program, { process: withListening(process, facts), facts, descriptors, stops });
  return {
    program,
    pidNamespace: pidNamespaceToEnter(spec),
    placements: descriptors.placements,
    generation,
    stops: stops.list,
  };
}

/** The process with what socket activation tells it (sd_listen_fds(3)); it is 1 in its pid namespace. */
export function withListening(process: Process, { preserved }: Pick<Facts, "preserved">): Process {
  if (preserved === undefined || preserved.listening === 0) return process;
  return { ...process, env: [...process.env ?? [], `LISTEN_FDS=${preserved.listening}`, "LISTEN_PID=1"] };
}

/** Whether the runtime has something to do while the new process waits. */
function needsStops(spec: Spec): boolean {
  return hasUserNamespace(spec) || stopsWhenFilled(spec);
}

/** Whether that is when everything is mounted. */
function stopsWhenFilled(spec: Spec): boolean {
  const copies = spec.mounts?.some(({ options }) => options?.includes("tmpcopyup") ?? false) ?? false;
  const moves = Object.keys(spec.linux?.netDevices ?? {}).length > 0;
  return copies || moves || hasHooks(spec, "prestart", "createRuntime", "createContainer");
}

/** The root file system, and whatever else only the host's root may open before it becomes another. */
function addRoots(program: Program, spec: Spec, facts: Facts, stops: Stops, given: number | undefined) {
  const isUser = hasUserNamespace(spec);
  if (isUser) addIdMaps(program, stops, facts);
  program.add({ call: "umask", args: [0], does: "make files with the modes that are asked for" });
  const isHosts = mountNamespaceOf(spec) === "host's";
  if (!isHosts) addPropagation(program, spec.linux?.rootfsPropagation || "rslave", facts.root);
  const root = isHosts ? addHostRoot(program, facts.root, given) : addRoot(program, facts.root, given);
  const paths = new Paths(program, root, facts.arch);
  const sources = isUser ? openSources(paths, spec, facts) : new Map<string, Slot>();
  if (isUser) addNamespaceRoot(program);
  return { root, paths, sources };
}

/** Everything but the cgroup and time namespaces is made by the clone: those need a process that is in its place. */
function cloneFlags(made: ReadonlySet<NamespaceType>): ConstantName[] {
  return [...made].filter((type) => type !== "cgroup" && type !== "time").map((type) => namespaceFlags[type]);
}

/** Dies with the runtime, also where that ended before the signal was asked for: then the pipe is at its end. */
function addLife(program: Program, life: number): void {
  addDeathSignal(program);
  program.add({
    call: "read",
    args: [life, room(8, "&byte"), 1],
    does: "make sure that the runtime is alive",
    expect: 1,
    allow: ["EAGAIN"],
  });
}

/** The container's cgroup of version 2, where there is one: its processes are born into it. It is not there before its unit. */
export function unifiedCgroup(facts: Pick<Facts, "cgroups" | "inUnit">): CgroupPlace | undefined {
  return facts.inUnit ? undefined : facts.cgroups.find(({ version }) => version === 2);
}

/**
 * Joins the container's cgroups of version 1, and its groups of resctrl; "0" is the writer itself.
 *
 * By `tasks`, not `cgroup.procs`: a single thread that moves itself is moved without the lock that keeps all of the system's
 * processes from forking and ending meanwhile, which takes the kernel 5 to 10 ms to get. A child has one thread only.
 */
export function addCgroups(program: Program, facts: Pick<Facts, "cgroups" | "resctrl">): void {
  for (const { version, path } of facts.cgroups) {
    if (version !== 2) addTask(program, path, `join the cgroup "${path}"`);
  }
  for (const path of facts.resctrl ?? []) addTask(program, path, `join the resctrl group "${path}"`);
}

function addTask(program: Program, path: string, does: string): void {
  const file = program.result("cgroup", {
    call: "openat",
    args: [flag("AT_FDCWD"), `${path}/tasks`, flag("O_WRONLY", "O_CLOEXEC"), 0],
    does,
  });
  program.add({ call: "write", args: [file, "0", 1], does, expect: 1 });
}

/** Mounts, devices and everything that is done to paths, in runc's order. */
function addFileSystems(
  paths: Paths,
  root: Slot,
  spec: Spec,
  process: Process,
  facts: Facts,
  descriptors: Descriptors,
  stops: Stops,
  sources: ReadonlyMap<string, Slot>,
): void {
  const { program } = paths;
  const linux = spec.linux ?? {};
  const nullDevice = (linux.maskedPaths ?? []).length > 0 ? addNullDevice(program) : undefined;
  addVolumes(paths, facts.volumes ?? [], spec.root?.readonly === true);
  const mounted = addMounts(paths, spec.mounts ?? [], facts, {
    sources,
    idmaps: descriptors.idmaps,
    label: linux.mountLabel,
    isElsewhere: mountNamespaceOf(spec) === "joined",
  });
  const canMakeNodes = facts.canMakeNodes && !hasUserNamespace(spec);
  const isHosts = mountNamespaceOf(spec) === "host's";
  if (!mounted.devIsBind && !(isHosts && isHostRoot(facts.root))) addDevices(paths, linux.devices ?? [], canMakeNodes);
  if (descriptors.console === undefined) addNullStreams(paths, facts.nullStreams ?? []);
  if (stopsWhenFilled(spec)) stops.add({ kind: "hooks", copies: mounted.copies }, "the hooks");
  paths.ensure(process.cwd, "directory", `make the working directory "${process.cwd}"`);
  if (descriptors.console !== undefined) {
    addConsole(program, openPtmx(program, mounted), process, descriptors.console, {
      paths,
      plainLines: facts.plainLines,
    });
  }
  const propagation = linux.rootfsPropagation || "rslave";
  if (isHosts) addChroot(program, root);
  else if (facts.noPivot !== undefined) addMoveRoot(program, root, facts.noPivot);
  else addPivot(program, root, propagation);
  addNames(program, spec.hostname, spec.domainname);
  addSysctls(program, linux.sysctl, mounted.proc);
  addReadonlyPaths(paths, linux.readonlyPaths ?? [], facts.kernelFiles, mounted);
  if (nullDevice !== undefined) {
    addMaskedPaths(paths, linux.maskedPaths ?? [], facts.kernelFiles, nullDevice, mounted);
  }
  for (const { mount, does } of mounted.readOnlyLater) {
    setAttributes(program, mount, { set: ["MOUNT_ATTR_RDONLY"], clear: [] }, does);
  }
  // Last, for paths of what cannot be bound could not be covered.
  addRootPropagation(program, propagation);
  if (spec.root?.readonly) {
    setAttributes(program, root, { set: ["MOUNT_ATTR_RDONLY"], clear: [] }, "make the root file system read-only");
  }
}

/** The terminal multiplexer of the devpts that was just mounted, by its mount and not by a path. */
function openPtmx(program: Program, mounted: Mounted): Slot {
  if (mounted.devpts === undefined) {
    throw new Failure("InvalidArgument", "process.terminal needs a devpts mount in the spec");
  }
  return program.result("master", {
    call: "openat",
    args: [mounted.devpts, "ptmx", flag("O_RDWR", "O_NOCTTY", "O_CLOEXEC"), 0],
    does: "open the container's terminal",
  });
}
