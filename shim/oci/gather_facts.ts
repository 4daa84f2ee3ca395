/**
 * Gathers what a plan must know of this host.
 *
 * @module
 */
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { hostArch } from "../../ffi/arch.ts";
import { flags } from "../../ffi/constants.ts";
import { errnoName } from "../../ffi/errno.ts";
import { attempt, call } from "../../ffi/syscall.ts";
import type { Preserved } from "./launch.ts";
import type { CgroupPlace, Facts, Limit, RootSource } from "./plan/facts.ts";
import { hostMounts } from "./host_mounts.ts";
import { linkedDestinations } from "./linked_destinations.ts";
import { ownedByJoinedUser } from "./namespace_owners.ts";
import { isOrdinaryUser } from "./ordinary_user.ts";
import { joinsUserNamespace } from "./plan/join.ts";
import { cleanPath } from "./plan/paths.ts";
import type { CompiledFilter } from "./seccomp/compile.ts";
import { coveredModes } from "./covered_modes.ts";

/** What is known already. */
export interface KnownFacts {
  spec: Spec;
  id: string;
  bundle: string;
  root: RootSource;
  cgroups: readonly CgroupPlace[];
  inUnit?: boolean | undefined;
  resctrl?: readonly string[] | undefined;
  filter?: CompiledFilter | undefined;
  openFiles?: Limit | undefined;
  start: "fifo" | "at once";
  dieWithParent: boolean;
  idMapped?: readonly string[] | undefined;
  preserved?: Preserved | undefined;
  nullStreams?: readonly number[] | undefined;
  plainLines?: boolean | undefined;
  volumes?: readonly string[] | undefined;
  newKeyring?: boolean | undefined;
  noPivot?: boolean | undefined;
  /** A directory among the sources that will be there by the time of the start. */
  stateMount?: { source: string } | undefined;
}

/** Reads the rest. Never throws for what is missing: the plan says what it needs. */
export function gatherFacts(known: KnownFacts): Facts {
  const { spec, id, bundle, root, cgroups, start, dieWithParent, openFiles, filter } = known;
  const destinations = linkedDestinations(spec, root);
  const sources = bindSources(spec, bundle);
  if (known.stateMount !== undefined) sources.set(known.stateMount.source, "directory");
  return {
    id,
    bundle,
    root,
    cgroups,
    start,
    dieWithParent,
    ...(known.preserved === undefined ? {} : { preserved: known.preserved }),
    ...(known.nullStreams === undefined ? {} : { nullStreams: known.nullStreams }),
    ...(known.volumes === undefined ? {} : { volumes: known.volumes }),
    ...(known.plainLines === true ? { plainLines: true } : {}),
    ...(known.resctrl === undefined ? {} : { resctrl: known.resctrl }),
    ...(known.inUnit === true ? { inUnit: true } : {}),
    ...(joinsUserNamespace(spec) ? { ownedByJoined: ownedByJoinedUser(spec) } : {}),
    ...(isOrdinaryUser() ? { isOrdinaryUser: true } : {}),
    newKeyring: known.newKeyring ?? true,
    ...(known.noPivot ? { noPivot: hostMounts() } : {}),
    ...(known.idMapped === undefined ? {} : { idMapped: known.idMapped }),
    ...(filter === undefined ? {} : { filter }),
    arch: hostArch,
    sources,
    destinations,
    coveredModes: coveredModes(spec, root, destinations),
    kernelFiles: kernelFiles(spec),
    canMakeNodes: canMakeNodes(),
    ignoredSignals: ignoredSignals(),
    ...(openFiles === undefined ? {} : { openFiles }),
    lastCapability: lastCapability(),
  };
}

/** What the sources of the spec's bind mounts are; those that do not exist are left out. */
export function bindSources(spec: Spec, bundle: string): Map<string, "directory" | "file"> {
  const sources = new Map<string, "directory" | "file">();
  for (const { source, options } of spec.mounts ?? []) {
    if (!source || !options?.some((option) => option === "bind" || option === "rbind")) continue;
    const path = source.startsWith("/") ? source : `${bundle}/${source}`;
    // Not asked for its attributes: a file system that a program serves may not answer, and this thread is others' as well.
    const kind = kindOf(path);
    // The plan refuses others by name.
    if (kind === "directory" || kind === "file") sources.set(path, kind);
  }
  return sources;
}

/**
 * What the host's proc and sysfs show at the paths that the spec masks or makes read-only, where the container gets both
 * anew and whole: the kernel's own files are the same in each.
 */
export function kernelFiles(spec: Spec): Map<string, "directory" | "file" | "missing"> {
  const files = new Map<string, "directory" | "file" | "missing">();
  const isWhole = (destination: string, type: string): boolean =>
    spec.mounts?.some((mount) =>
      mount.destination === destination && mount.type === type &&
      !mount.options?.some((option) => /^(subset|hidepid|bind|rbind)/.test(option))
    ) ?? false;
  const whole = [["/proc", "proc"], ["/sys", "sysfs"]].filter(([path, type]) => isWhole(path!, type!));
  for (const path of [...spec.linux?.maskedPaths ?? [], ...spec.linux?.readonlyPaths ?? []]) {
    const clean = cleanPath(path);
    if (!whole.some(([directory]) => clean.startsWith(`${directory}/`))) continue;
    const kind = seenKernelFiles.get(clean) ?? kindOf(clean);
    if (kind === undefined) continue;
    // A module that is loaded later may bring what is missing now.
    if (kind !== "missing") seenKernelFiles.set(clean, kind);
    files.set(clean, kind);
  }
  return files;
}

/** What this process has seen to be there. */
const seenKernelFiles = new Map<string, "directory" | "file">();

function kindOf(path: string): "directory" | "file" | "missing" | undefined {
  const opened = attempt("openat", flags("AT_FDCWD"), path, flags("O_PATH", "O_DIRECTORY", "O_CLOEXEC"), 0);
  if (opened >= 0) {
    call("close", opened);
    return "directory";
  }
  const errors: Readonly<Record<string, "file" | "missing">> = { ENOTDIR: "file", ENOENT: "missing" };
  return errors[errnoName(-opened)];
}

let mayMakeNodes: boolean | undefined;

/** CAP_MKNOD in the first user namespace; neither changes in the life of this process. */
function canMakeNodes(): boolean {
  return mayMakeNodes ??= readMayMakeNodes();
}

function readMayMakeNodes(): boolean {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(processStatus())?.[1] ?? "0";
  if ((BigInt(`0x${hex}`) >> 27n & 1n) === 0n) return false;
  return /^\s*0\s+0\s+4294967295\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"));
}

/** `/proc/self/status` as it is now. */
function processStatus(): string {
  return Deno.readTextFileSync("/proc/self/status");
}

let ignored: number[] | undefined;

/** The signals that this process ignores from its start on. Deno itself ignores SIGPIPE. */
export function ignoredSignals(): number[] {
  return ignored ??= readIgnoredSignals();
}

/** SigIgn of `/proc/self/status`. */
function readIgnoredSignals(): number[] {
  const hex = /^SigIgn:\s*([0-9a-f]+)$/m.exec(processStatus())?.[1] ?? "0";
  const mask = BigInt(`0x${hex}`);
  const signals: number[] = [];
  for (let signal = 1; signal <= 64; signal++) {
    if (mask >> BigInt(signal - 1) & 1n) signals.push(signal);
  }
  return signals;
}

let capability: number | undefined;

/** Number of the kernel's last capability. */
export function lastCapability(): number {
  return capability ??= Number(Deno.readTextFileSync("/proc/sys/kernel/cap_last_cap"));
}
