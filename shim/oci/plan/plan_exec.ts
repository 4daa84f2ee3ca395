/**
 * The plan of a further process in a running container.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { NamespaceType, Process, Spec } from "../../../api/oci/runtime_spec.ts";
import type { ChildProgram } from "../../../ffi/program/spawn.ts";
import { type Data, flag, type Program, type Slot } from "../../../ffi/program/program.ts";
import { swapExecutable } from "../../../ffi/program/hygiene.ts";
import { addConsole } from "./console.ts";
import type { Facts } from "./facts.ts";
import { wantFileSystem } from "./file_system.ts";
import { addFinish } from "./finish.ts";
import { asksHome } from "./home.ts";
import { addClone, namespaceFlags } from "./join.ts";
import { addKeyring, addOomScore } from "./kernel_settings.ts";
import { addAffinity, addAllCpus, addLabels, addMemoryPolicy, addPersonality, addScheduling } from "./scheduling.ts";
import { addNamespaceRoot } from "./user_namespace.ts";
import { addChroot } from "./mount_namespace.ts";
import { openHow, openHowSize } from "./paths.ts";
import { type Stop, Stops } from "./stops.ts";
import { addCgroups, beginChild, withListening } from "./plan.ts";

/** The facts that an exec needs. */
export type ExecFacts =
  & Pick<
    Facts,
    | "arch"
    | "id"
    | "filter"
    | "cgroups"
    | "resctrl"
    | "ignoredSignals"
    | "openFiles"
    | "lastCapability"
    | "passwd"
    | "isOrdinaryUser"
    | "dieWithParent"
    | "preserved"
    | "newKeyring"
    | "plainLines"
  >
  & {
    /** The root of init as the host's procfs has it, where no mount namespace leads there. */
    root?: string;
    /** Whether the container is shown the process only when that holds nothing of the host any more, see `mayBeTraced`. */
    shielded?: boolean;
  };

/**
 * Whether a process of the container may have CAP_SYS_PTRACE over one that joins it: then neither the kernel's dumpable
 * bit nor missing capabilities keep the container out of it. In a user namespace that capability does not reach so far.
 */
export function mayBeTraced(spec: Spec, process: Process): boolean {
  if (spec.linux?.namespaces?.some(({ type }) => type === "user")) return false;
  return [spec.process?.capabilities, process.capabilities].some((sets) =>
    Object.values(sets ?? {}).flat().some((name) => /^cap_sys_ptrace$/i.test(name))
  );
}

/** The namespaces that an exec joins; the pid namespace is entered by the clone. */
const joined: readonly NamespaceType[] = ["user", "ipc", "uts", "network", "cgroup", "time", "mount"];

/** A process that joins a container, and whether it is to be cloned into the container's pid namespace. */
export interface ExecPlan {
  program: ChildProgram;
  joinsPidNamespace: boolean;
  /** Where the id of the process stands that executes, where the cloned one only joins the container and clones that. */
  generation?: Data | undefined;
  /** Where the process waits for the runtime; with any, the given number `go` is needed. */
  stops: readonly Stop[];
}

/**
 * Plans a process that joins the container whose init the given number `init` is a pidfd of. `spec` is the
 * container's: it says which namespaces there are. `executable` is the file to execute, where that is not what the
 * process's arguments begin with.
 */
export function planExec(spec: Spec, process: Process, facts: ExecFacts, executable?: string): ExecPlan {
  const listens = facts.filter?.listener === true;
  const { program, descriptors } = beginChild([], facts, {
    start: false,
    life: false,
    init: true,
    go: listens || asksHome(process, facts.passwd),
    goLate: listens,
    console: process.terminal === true,
    preserved: facts.preserved?.numbers.length ?? 0,
  }, facts.isOrdinaryUser);
  addOomScore(program, process.oomScoreAdj);
  addAffinity(program, process.execCPUAffinity?.initial);
  addCgroups(program, facts);
  const { initial, final } = process.execCPUAffinity ?? {};
  if (final) addAffinity(program, final);
  else if (!initial) addAllCpus(program);
  addLabels(program, process);
  const types = new Set((spec.linux?.namespaces ?? []).map(({ type }) => type));
  if (facts.isOrdinaryUser) addRights(program, descriptors);
  const flags = joined.filter((type) => types.has(type) && !(type === "user" && facts.isOrdinaryUser))
    .map((type) => namespaceFlags[type]);
  const inTwo = types.has("pid") && facts.shielded === true;
  if (inTwo) flags.push("CLONE_NEWPID");
  const root = facts.root === undefined ? undefined : openInitsRoot(program, facts.root);
  if (flags.length === 0) addAliveCheck(program, descriptors.init!);
  else {
    program.add({
      call: "setns",
      // A pidfd joins several namespaces at once, and cannot mean another process later (Linux 5.8).
      args: [descriptors.init!, flag(...flags)],
      does: "join the container's namespaces",
      errors: { ESRCH: hasStopped },
    });
  }
  if (root !== undefined) addChroot(program, root);
  const generation = inTwo ? addSecond(program, descriptors.placements.length) : undefined;
  if (types.has("user")) addNamespaceRoot(program);
  program.add({ call: "setsid", args: [], does: "begin a session" });
  if (facts.newKeyring) addKeyring(program, facts.id);
  if (descriptors.console !== undefined) {
    addConsole(program, openPtmx(program, facts.arch), process, descriptors.console, facts);
  }
  addScheduling(program, process);
  addPersonality(program, spec.linux?.personality);
  addMemoryPolicy(program, spec.linux?.memoryPolicy);
  const stops = new Stops(program, descriptors.report, descriptors.go);
  addFinish(program, { process: withListening(process, facts), facts, descriptors, executable, stops });
  return { program, joinsPidNamespace: types.has("pid") && !inTwo, generation, stops: stops.list };
}

const hasStopped = "the container has stopped";

/** The root of init, which must be alive when its namespaces are joined: the path was its own then. */
function openInitsRoot(program: Program, path: string): Slot {
  return program.result("root", {
    call: "openat",
    args: [flag("AT_FDCWD"), path, flag("O_PATH", "O_DIRECTORY", "O_CLOEXEC"), 0],
    does: "find the container's root file system",
    errors: { ENOENT: hasStopped },
  });
}

/** Where no namespace is joined. */
function addAliveCheck(program: Program, init: number): void {
  const does = "make sure that the container runs";
  program.add({ call: "pidfd_send_signal", args: [init, 0, 0, 0], does, errors: { ESRCH: hasStopped } });
}

/** Joins the user namespace, where an ordinary user has the rights that the rest takes; nobody there sees the process yet. */
function addRights(program: ChildProgram, { init, stub }: { init: number | undefined; stub: number }): void {
  const does = "join the container's user namespace";
  program.add({ call: "setns", args: [init!, flag("CLONE_NEWUSER")], does });
  swapExecutable(program, stub);
}

/** Closes what the plan has opened on the host, and clones the process that the container sees. */
function addSecond(program: Program, placed: number): Data {
  const does = "close what was opened on the host";
  program.add({ call: "close_range", args: [placed, 0xffffffff, 0], does });
  return addClone(program, [], "clone the process into the container's pid namespace");
}

/**
 * The terminal multiplexer of the container that was joined; a link there may be the image's own. Nor may it be any file:
 * one of a file system that the container serves itself could answer as it likes, with a number that is taken for the
 * terminal's descriptor.
 */
function openPtmx(program: Program, arch: Facts["arch"]): Slot {
  const how = openHow(arch, ["O_RDWR", "O_NOCTTY", "O_CLOEXEC"], ["RESOLVE_NO_SYMLINKS", "RESOLVE_NO_MAGICLINKS"]);
  const does = "open the container's terminal";
  const master = program.result("master", {
    call: "openat2",
    args: [flag("AT_FDCWD"), "/dev/pts/ptmx", how, openHowSize],
    does,
  });
  const sentence = `${does}: the container's /dev/pts/ptmx is no terminal multiplexer`;
  wantFileSystem(program, master, "DEVPTS_SUPER_MAGIC", does, sentence);
  return master;
}

/** The process of an exec: what it leaves open is taken from the container's own. */
export function execProcess(spec: Spec, process: Process): Process {
  const own = spec.process;
  if (own === undefined) throw new Failure("DataLoss", "the container's state has no process");
  const inherited: Process = { ...process };
  const { capabilities, rlimits, apparmorProfile, selinuxLabel, scheduler, ioPriority, execCPUAffinity } = own;
  if (!process.apparmorProfile && apparmorProfile) inherited.apparmorProfile = apparmorProfile;
  if (!process.selinuxLabel && selinuxLabel) inherited.selinuxLabel = selinuxLabel;
  if (process.scheduler === undefined && scheduler !== undefined) inherited.scheduler = scheduler;
  if (process.ioPriority === undefined && ioPriority !== undefined) inherited.ioPriority = ioPriority;
  if (process.execCPUAffinity === undefined && execCPUAffinity !== undefined) {
    inherited.execCPUAffinity = execCPUAffinity;
  }
  if (process.capabilities === undefined && capabilities !== undefined) inherited.capabilities = capabilities;
  if ((process.rlimits ?? []).length === 0 && rlimits !== undefined) inherited.rlimits = rlimits;
  if (process.user.umask === undefined && own.user.umask !== undefined) {
    inherited.user = { ...process.user, umask: own.user.umask };
  }
  return inherited;
}
