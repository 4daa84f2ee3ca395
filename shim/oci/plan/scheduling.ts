/**
 * Steps for how the kernel schedules and labels a process: policy, I/O priority, execution domain, security modules.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Linux, Process } from "../../../api/oci/runtime_spec.ts";
import { Data, flag, type Program, text, words } from "../../../ffi/program/program.ts";

/** linux/sched.h */
const policies: Readonly<Record<string, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
};

/** linux/sched.h; the bit of `SCHED_FLAG_…` in order. */
const schedulerFlags = [
  "RESET_ON_FORK",
  "RECLAIM",
  "DL_OVERRUN",
  "KEEP_POLICY",
  "KEEP_PARAMS",
  "UTIL_CLAMP_MIN",
  "UTIL_CLAMP_MAX",
].map((name) => `SCHED_FLAG_${name}`);

/** linux/ioprio.h */
const ioClasses: Readonly<Record<string, number>> = { IOPRIO_CLASS_RT: 1, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 };
const ioClassShift = 13;
const ioWhoProcess = 1;

/** linux/personality.h */
const domains: Readonly<Record<string, number>> = { LINUX: 0, LINUX32: 8 };

/** Sets policy and I/O priority of the process (sched_setattr(2), ioprio_set(2)). */
export function addScheduling(program: Program, process: Process): void {
  if (process.scheduler !== undefined) addScheduler(program, process.scheduler);
  if (process.ioPriority !== undefined) addIoPriority(program, process.ioPriority);
}

function addScheduler(program: Program, scheduler: NonNullable<Process["scheduler"]>): void {
  const { policy, nice = 0, priority = 0, flags = [], runtime = 0, deadline = 0, period = 0 } = scheduler;
  const number = policies[policy];
  if (number === undefined) throw new Failure("InvalidArgument", `process.scheduler: unknown policy "${policy}"`);
  let bits = 0;
  for (const name of flags) {
    const bit = schedulerFlags.indexOf(name);
    if (bit < 0) throw new Failure("InvalidArgument", `process.scheduler: unknown flag "${name}"`);
    bits |= 1 << bit;
  }
  // struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period.
  const size = 48;
  const attributes = new Data(new Uint8Array(size), `{policy=${policy}}`);
  const view = new DataView(attributes.bytes.buffer);
  view.setUint32(0, size, true);
  view.setUint32(4, number, true);
  view.setBigUint64(8, BigInt(bits), true);
  view.setInt32(16, nice, true);
  view.setUint32(20, priority, true);
  [runtime, deadline, period].forEach((time, index) => view.setBigUint64(24 + index * 8, BigInt(time), true));
  const does = `set the scheduling policy ${policy}`;
  program.add({
    call: "sched_setattr",
    args: [0, attributes, 0],
    does,
    errors: { EPERM: `${does}: operation not permitted; want CAP_SYS_NICE, and a cpuset of the whole root domain` },
  });
}

function addIoPriority(program: Program, { class: name, priority = 0 }: NonNullable<Process["ioPriority"]>): void {
  const number = ioClasses[name];
  if (number === undefined) throw new Failure("InvalidArgument", `process.ioPriority: unknown class "${name}"`);
  program.add({
    call: "ioprio_set",
    args: [ioWhoProcess, 0, number << ioClassShift | priority],
    does: `set the I/O priority ${name} ${priority}`,
  });
}

/** Sets the execution domain (personality(2)). */
export function addPersonality(program: Program, personality: Linux["personality"]): void {
  if (personality === undefined) return;
  const domain = domains[personality.domain];
  if (domain === undefined) {
    throw new Failure("InvalidArgument", `linux.personality: unknown domain "${personality.domain}"`);
  }
  program.add({ call: "personality", args: [domain], does: `set the execution domain ${personality.domain}` });
}

/** Modes of memory policies; the place is the kernel's number (linux/mempolicy.h). */
export const memoryPolicyModes: readonly string[] = [
  "MPOL_DEFAULT",
  "MPOL_PREFERRED",
  "MPOL_BIND",
  "MPOL_INTERLEAVE",
  "MPOL_LOCAL",
  "MPOL_PREFERRED_MANY",
  "MPOL_WEIGHTED_INTERLEAVE",
];
const memoryFlags: Readonly<Record<string, number>> = {
  MPOL_F_STATIC_NODES: 1 << 15,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_NUMA_BALANCING: 1 << 13,
};

/** Names of the flags of memory policies. */
export const memoryPolicyFlags: readonly string[] = Object.keys(memoryFlags);

/** Sets from which nodes memory is taken (set_mempolicy(2)). */
export function addMemoryPolicy(program: Program, policy: Linux["memoryPolicy"]): void {
  if (policy === undefined) return;
  let mode = memoryPolicyModes.indexOf(policy.mode);
  if (mode < 0) throw new Failure("InvalidArgument", `linux.memoryPolicy: unknown mode "${policy.mode}"`);
  for (const name of policy.flags ?? []) {
    const bit = memoryFlags[name];
    if (bit === undefined) throw new Failure("InvalidArgument", `linux.memoryPolicy: unknown flag "${name}"`);
    mode |= bit;
  }
  const nodes = policy.nodes ? listMask(policy.nodes, "linux.memoryPolicy.nodes") : [];
  checkMemoryPolicy(policy, nodes.some((word) => word !== 0n));
  const does = `set the memory policy ${policy.mode}`;
  program.add({
    call: "set_mempolicy",
    // The kernel reads one bit less than it is told of.
    args: nodes.length === 0 ? [mode, 0, 0] : [mode, words(nodes, `{${policy.nodes}}`), nodes.length * 64 + 1],
    does,
    errors: nodes.length === 0 ? {} : { EINVAL: `${does}: none of the nodes ${policy.nodes} is there, or may be used` },
  });
}

/** What the kernel would refuse without a word of why (set_mempolicy(2)). */
function checkMemoryPolicy({ mode, flags }: NonNullable<Linux["memoryPolicy"]>, hasNodes: boolean): void {
  const wantsNone = mode === "MPOL_DEFAULT" || mode === "MPOL_LOCAL";
  if (wantsNone && hasNodes) {
    throw new Failure("InvalidArgument", `linux.memoryPolicy.nodes: the mode ${mode} takes none: want an empty string`);
  }
  // MPOL_PREFERRED without nodes is the local one.
  if (!wantsNone && mode !== "MPOL_PREFERRED" && !hasNodes) {
    throw new Failure("InvalidArgument", `linux.memoryPolicy.nodes: the mode ${mode} wants at least one node`);
  }
  if (flags?.includes("MPOL_F_STATIC_NODES") && flags.includes("MPOL_F_RELATIVE_NODES")) {
    const both = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES";
    throw new Failure("InvalidArgument", `linux.memoryPolicy.flags: ${both} exclude each other: want one of them`);
  }
}

/** Binds the process to CPUs (sched_setaffinity(2)). `list` has the form `0-3,7`. */
export function addAffinity(program: Program, list: string | undefined): void {
  if (!list) return;
  const mask = listMask(list, "execCPUAffinity");
  const does = `bind the process to the CPUs ${list}`;
  program.add({
    call: "sched_setaffinity",
    args: [0, mask.length * 8, words(mask, `{${list}}`)],
    does,
    errors: { EINVAL: `${does}: none of them is there, or may be used` },
  });
}

/**
 * Lets the process run wherever its cgroup may: what the caller was bound to is the caller's own affair, and stays with
 * its children whatever cpuset they join (runc ≥ 1.3 does the same).
 */
export function addAllCpus(program: Program): void {
  program.add({
    call: "sched_setaffinity",
    args: [0, numbersMax / 8, new Data(new Uint8Array(numbersMax / 8).fill(0xff), "{all}")],
    does: "let the process run on every CPU of its cgroup",
    // A filter around this system may refuse it: then it stays where the caller is.
    allow: ["EPERM", "ENOSYS"],
  });
}

/** More than Linux has of CPUs or nodes (NR_CPUS). */
const numbersMax = 8192;

/** The numbers of a list such as `0-3,7` as bits of 64-bit words. Throws `InvalidArgument` that names the property. */
export function listMask(list: string, property: string): bigint[] {
  const mask: bigint[] = [];
  for (const part of list.split(",")) {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last < first || last >= numbersMax) {
      throw new Failure("InvalidArgument", `${property}: want a list such as 0-3,7, not "${list}"`);
    }
    for (let cpu = first; cpu <= last; cpu++) mask[cpu >> 6] = (mask[cpu >> 6] ?? 0n) | 1n << BigInt(cpu & 63);
  }
  return Array.from(mask, (word) => word ?? 0n);
}

/**
 * Asks the security modules for a profile and a label at the next `execve`, through the host's procfs: a container's own
 * might show other files there (CVE-2019-16884, CVE-2025-52881). Must come before no_new_privs.
 */
export function addLabels(program: Program, { apparmorProfile, selinuxLabel }: Process): void {
  if (apparmorProfile) {
    const does = `apply the AppArmor profile "${apparmorProfile}"`;
    const unloaded = "unable to apply apparmor profile: apparmor failed to apply profile: " +
      "write /proc/self/attr/apparmor/exec: no such file or directory";
    writeAttribute(program, "apparmor/exec", `exec ${apparmorProfile}`, does, {
      ENOENT: `${does}: AppArmor is not enabled in this kernel`,
    }, { ENOENT: unloaded });
  }
  if (selinuxLabel) {
    const missing = "selinux label is specified in config, but selinux is disabled or not supported";
    const errors = { ENOENT: missing, EINVAL: missing };
    writeAttribute(program, "exec", selinuxLabel, `set the SELinux label "${selinuxLabel}"`, errors);
    writeAttribute(program, "keycreate", selinuxLabel, "set the SELinux label of keys", errors);
  }
}

function writeAttribute(
  program: Program,
  name: string,
  value: string,
  does: string,
  errors: { ENOENT?: string; EINVAL?: string },
  refusals = errors,
): void {
  const file = program.result("attribute", {
    call: "openat",
    args: [flag("AT_FDCWD"), `/proc/thread-self/attr/${name}`, flag("O_WRONLY", "O_CLOEXEC"), 0],
    does,
    errors,
  });
  const data = text(value);
  program.add({ call: "write", args: [file, data, data.bytes.length - 1], does, errors: refusals });
}
