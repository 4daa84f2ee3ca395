/**
 * Types of the OCI runtime specification's `config.json` (Linux only).
 *
 * @module
 */

/** A user inside the container. */
export interface User {
  uid: number;
  gid: number;
  umask?: number;
  additionalGids?: number[];
}

/** The five capability sets, as `CAP_…` names. */
export interface Capabilities {
  bounding?: string[];
  effective?: string[];
  inheritable?: string[];
  permitted?: string[];
  ambient?: string[];
}

/** One resource limit; `type` is `RLIMIT_…`. */
export interface Rlimit {
  type: string;
  soft: number;
  hard: number;
}

/** `process.scheduler`; times in nanoseconds. */
export interface Scheduler {
  policy: string;
  nice?: number;
  priority?: number;
  flags?: string[];
  runtime?: number;
  deadline?: number;
  period?: number;
}

/** The `process` object. */
export interface Process {
  terminal?: boolean;
  consoleSize?: { height: number; width: number };
  user: User;
  args?: string[];
  env?: string[];
  cwd: string;
  capabilities?: Capabilities;
  rlimits?: Rlimit[];
  noNewPrivileges?: boolean;
  apparmorProfile?: string;
  selinuxLabel?: string;
  oomScoreAdj?: number;
  scheduler?: Scheduler;
  ioPriority?: { class: string; priority?: number };
  /** Lists of CPUs (`0-3,7`) for a process of `exec`: before and after it has joined the cgroup. */
  execCPUAffinity?: { initial?: string; final?: string };
}

/** One entry of `mounts`. */
export interface Mount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
}

/** The namespace types of the specification. */
export type NamespaceType = "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup" | "time";

/** One entry of `linux.namespaces`; with `path` it is joined, without it is made. */
export interface Namespace {
  type: NamespaceType;
  path?: string;
}

/** One range of a user namespace's id map. */
export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

/** One entry of `linux.devices`. */
export interface Device {
  type: "c" | "b" | "u" | "p";
  path: string;
  major?: number;
  minor?: number;
  fileMode?: number;
  uid?: number;
  gid?: number;
}

/** One rule of `linux.resources.devices`. */
export interface DeviceRule {
  allow: boolean;
  type?: string;
  major?: number;
  minor?: number;
  access?: string;
}

/** `linux.resources`; bytes for memory, microseconds for quota and period. */
export interface Resources {
  devices?: DeviceRule[];
  memory?: {
    limit?: number;
    reservation?: number;
    swap?: number;
    kernel?: number;
    kernelTCP?: number;
    swappiness?: number;
    disableOOMKiller?: boolean;
    useHierarchy?: boolean;
    checkBeforeUpdate?: boolean;
  };
  cpu?: {
    shares?: number;
    quota?: number;
    burst?: number;
    period?: number;
    realtimeRuntime?: number;
    realtimePeriod?: number;
    cpus?: string;
    mems?: string;
    idle?: number;
  };
  pids?: { limit?: number };
  blockIO?: Record<string, unknown>;
  hugepageLimits?: { pageSize: string; limit: number }[];
  network?: Record<string, unknown>;
  rdma?: Record<string, unknown>;
  unified?: Record<string, string>;
}

/** One argument condition of a seccomp rule. Values are unsigned 64-bit; beyond 2^53 they arrive as bigint. */
export interface SeccompArg {
  index: number;
  value: number | bigint;
  valueTwo?: number | bigint;
  op: string;
}

/** One rule of a seccomp profile. */
export interface SeccompSyscall {
  names: string[];
  action: string;
  errnoRet?: number;
  args?: SeccompArg[];
}

/** `linux.seccomp`. */
export interface Seccomp {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  flags?: string[];
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls?: SeccompSyscall[];
}

/** One hook of `hooks`; `timeout` in seconds. */
export interface Hook {
  path: string;
  args?: string[];
  env?: string[];
  timeout?: number;
}

/** How far a clock of a time namespace is from the host's. */
export interface TimeOffset {
  secs?: number;
  nanosecs?: number;
}

/** The class of cache and memory bandwidth that the processes are in, see config-linux.md. */
export interface IntelRdt {
  /** Name of the class; `/` is the one of all processes. Without one it is made for the container alone. */
  closID?: string;
  schemata?: string[];
  l3CacheSchema?: string;
  memBwSchema?: string;
  enableMonitoring?: boolean;
  /** Until version 1.2 of the specification, for what `enableMonitoring` is. */
  enableCMT?: boolean;
  /** As `enableCMT`. */
  enableMBM?: boolean;
}

/** The `linux` object. */
export interface Linux {
  namespaces?: Namespace[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
  timeOffsets?: Record<string, TimeOffset | undefined>;
  devices?: Device[];
  cgroupsPath?: string;
  resources?: Resources;
  rootfsPropagation?: string;
  seccomp?: Seccomp;
  sysctl?: Record<string, string>;
  maskedPaths?: string[];
  readonlyPaths?: string[];
  mountLabel?: string;
  personality?: { domain: string; flags?: string[] };
  intelRdt?: IntelRdt;
  /** `set_mempolicy(2)`; nodes as a list such as `0-1`. */
  memoryPolicy?: { mode: string; nodes?: string; flags?: string[] };
  /** Devices of the host by their names, with those that they have in the container; the same unless there is one. */
  netDevices?: Record<string, { name?: string }>;
}

/** A container's `config.json`. */
export interface Spec {
  ociVersion: string;
  process?: Process;
  root?: { path: string; readonly?: boolean };
  hostname?: string;
  domainname?: string;
  mounts?: Mount[];
  hooks?: Record<string, Hook[] | undefined>;
  annotations?: Record<string, string>;
  linux?: Linux;
}
