/**
 * The shape of a `config.json`: which properties barge reads, and of what kind they are (runtime-spec `schema/`).
 *
 * @module
 */
import {
  anything,
  boolean,
  int64,
  list,
  map,
  object,
  oneOf,
  type Shape,
  text,
  uint32,
  uint64,
  whole,
} from "./shape.ts";

const texts: Shape = Object.assign(list(text), { zero: () => [] });
const textMap = map(text);

const idMapping = object({ containerID: uint32, hostID: uint32, size: uint32 }, ["size"], ["containerID", "hostID"]);

/** The largest number means "leave it as it is" to setresuid(2) and its like: root's own would stay. */
const id = whole(0, 2 ** 32 - 2);

const user = object({ uid: id, gid: id, umask: uint32, additionalGids: list(id) });

const process = object({
  terminal: boolean,
  consoleSize: object({ height: whole(0, 65535), width: whole(0, 65535) }, [], ["height", "width"]),
  user,
  args: texts,
  env: texts,
  cwd: text,
  capabilities: object({ bounding: texts, effective: texts, inheritable: texts, permitted: texts, ambient: texts }),
  rlimits: list(object({ type: text, soft: uint64, hard: uint64 }, ["type"], ["soft", "hard"])),
  noNewPrivileges: boolean,
  apparmorProfile: text,
  selinuxLabel: text,
  oomScoreAdj: whole(-1000, 1000),
  scheduler: object({
    policy: text,
    nice: whole(-20, 19),
    priority: whole(0, 99),
    flags: texts,
    runtime: uint64,
    deadline: uint64,
    period: uint64,
  }, ["policy"]),
  ioPriority: object({ class: text, priority: whole(0, 7) }, ["class"]),
  execCPUAffinity: object({ initial: text, final: text }),
}, ["cwd"]);

const mount = object({
  destination: text,
  type: text,
  source: text,
  options: texts,
  uidMappings: list(idMapping),
  gidMappings: list(idMapping),
}, ["destination"]);

const hook = object({ path: text, args: texts, env: texts, timeout: whole(1, 2 ** 31 - 1) }, ["path"]);
const hooks = list(hook);

const namespace = object(
  { type: oneOf("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"), path: text },
  ["type"],
);

const device = object({
  type: oneOf("c", "b", "u", "p"),
  path: text,
  major: int64,
  minor: int64,
  fileMode: uint32,
  uid: uint32,
  gid: uint32,
}, ["type", "path"]);

const resources = object({
  devices: list(object({ allow: boolean, type: text, major: int64, minor: int64, access: text }, [], ["allow"])),
  memory: object({
    limit: int64,
    reservation: int64,
    swap: int64,
    kernel: int64,
    kernelTCP: int64,
    swappiness: uint64,
    disableOOMKiller: boolean,
    useHierarchy: boolean,
    checkBeforeUpdate: boolean,
  }),
  cpu: object({
    shares: uint64,
    quota: int64,
    burst: uint64,
    period: uint64,
    realtimeRuntime: int64,
    realtimePeriod: uint64,
    cpus: text,
    mems: text,
    idle: int64,
  }),
  pids: object({ limit: int64 }),
  blockIO: map(anything),
  hugepageLimits: list(object({ pageSize: text, limit: uint64 }, [], ["pageSize", "limit"])),
  network: map(anything),
  rdma: map(anything),
  unified: textMap,
});

const seccomp = object(
  {
    defaultAction: text,
    defaultErrnoRet: uint32,
    architectures: texts,
    flags: texts,
    listenerPath: text,
    listenerMetadata: text,
    syscalls: list(object(
      {
        names: texts,
        action: text,
        errnoRet: uint32,
        args: list(object({ index: uint32, value: uint64, valueTwo: uint64, op: text }, ["op"], ["index", "value"])),
      },
      ["action"],
      ["names"],
    )),
  },
  [],
  ["defaultAction"],
);

const linux = object({
  namespaces: list(namespace),
  uidMappings: list(idMapping),
  gidMappings: list(idMapping),
  timeOffsets: map(object({ secs: int64, nanosecs: whole(0, 999_999_999) })),
  devices: list(device),
  cgroupsPath: text,
  resources,
  rootfsPropagation: text,
  seccomp,
  sysctl: textMap,
  maskedPaths: texts,
  readonlyPaths: texts,
  mountLabel: text,
  personality: object({ domain: text, flags: texts }, ["domain"]),
  intelRdt: object({
    closID: text,
    schemata: texts,
    l3CacheSchema: text,
    memBwSchema: text,
    enableMonitoring: boolean,
    enableCMT: boolean,
    enableMBM: boolean,
  }),
  memoryPolicy: object({ mode: text, nodes: text, flags: texts }, ["mode"]),
  netDevices: map(object({ name: text })),
});

/** Checks a whole `config.json`. */
export const specShape: Shape = object({
  ociVersion: text,
  process,
  root: object({ path: text, readonly: boolean }, ["path"]),
  hostname: text,
  domainname: text,
  mounts: list(mount),
  hooks: object({
    prestart: hooks,
    createRuntime: hooks,
    createContainer: hooks,
    startContainer: hooks,
    poststart: hooks,
    poststop: hooks,
  }),
  annotations: textMap,
  linux,
}, ["ociVersion"]);

/** Checks a `process` object alone, as `exec --process` reads it. */
export const processShape: Shape = process;

/** Checks a `linux.resources` object alone, as `update --resources` reads it. */
export const resourcesShape: Shape = resources;
