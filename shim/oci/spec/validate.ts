/**
 * What a spec must be besides its shape: relations between properties, as the runtime specification and runc have
 * them. Whatever depends on the host (paths that exist, kernel features) is not here.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { hookPlaces } from "../hooks/hook_state.ts";
import type { Linux, NamespaceType, Process, Spec } from "../../../api/oci/runtime_spec.ts";

function fail(property: string, reason: string): Failure {
  return new Failure("InvalidArgument", `${property}: ${reason}`);
}

/** Checks a spec of the right shape. Throws `InvalidArgument` that names the property. */
export function validateSpec(spec: Spec): void {
  validateVersion(spec.ociVersion);
  const linux = spec.linux ?? {};
  const namespaces = validateNamespaces(linux);
  if (spec.root === undefined) throw fail("root", "this property is required");
  if (spec.root.path === "") throw fail("root.path", "want the path of a directory, not an empty string");
  if (spec.process !== undefined) validateProcess(spec.process);
  for (const property of ["hostname", "domainname"] as const) {
    if (spec[property] !== undefined && spec[property] !== "" && !namespaces.has("uts")) {
      throw fail(property, "the host's own would change: want a uts namespace in linux.namespaces");
    }
  }
  for (const property of ["maskedPaths", "readonlyPaths"] as const) {
    if ((linux[property] ?? []).length > 0 && !namespaces.has("mount")) {
      throw fail(
        `linux.${property}`,
        "unable to restrict sys entries without a private MNT namespace: the host's own would be covered",
      );
    }
  }
  validateMappings(linux, namespaces);
  validateNetDevices(linux, namespaces);
  validateMounts(spec);
  validateDevices(linux);
  validateSysctl(linux, namespaces);
  validateResources(linux);
  for (const kind of hookPlaces) {
    for (const [index, { path }] of (spec.hooks?.[kind] ?? []).entries()) {
      if (!path.startsWith("/")) throw fail(`hooks.${kind}[${index}].path`, `want an absolute path, not "${path}"`);
    }
  }
}

/** Semantic versions of the first major version; pre-releases were used by early runtimes. */
function validateVersion(version: string): void {
  const match = /^(\d+)\.(\d+)\.(\d+)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/.exec(version);
  if (match === null) throw fail("ociVersion", `want a semantic version such as 1.2.1, not "${version}"`);
  if (match[1] !== "1") throw fail("ociVersion", `version "${version}" is not supported: want 1.x`);
}

const rlimits = new Set(
  ("CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME")
    .split(" ").map((name) => `RLIMIT_${name}`),
);

/** Checks a process of the right shape. Throws `InvalidArgument` that names the property. */
export function validateProcess(process: Process): void {
  if (!process.cwd.startsWith("/")) throw fail("process.cwd", `want an absolute path, not "${process.cwd}"`);
  if (process.args !== undefined && process.args.length === 0) throw fail("process.args", "want at least one argument");
  for (const [index, entry] of (process.env ?? []).entries()) {
    if (entry.indexOf("=") < 1) throw fail(`process.env[${index}]`, `want NAME=VALUE, not "${entry}"`);
  }
  const seen = new Set<string>();
  for (const [index, { type, soft, hard }] of (process.rlimits ?? []).entries()) {
    const property = `process.rlimits[${index}]`;
    if (!rlimits.has(type)) throw fail(`${property}.type`, `unknown resource limit "${type}"`);
    if (seen.has(type)) throw fail(`${property}.type`, `${type} is there twice`);
    if (soft > hard) throw fail(`${property}.soft`, `want at most the hard limit ${hard}, not ${soft}`);
    seen.add(type);
  }
}

function validateNamespaces(linux: Linux): Set<NamespaceType> {
  const types = new Set<NamespaceType>();
  for (const [index, { type, path }] of (linux.namespaces ?? []).entries()) {
    if (types.has(type)) throw fail(`linux.namespaces[${index}].type`, `${type} is there twice`);
    if (path !== undefined && path !== "" && !path.startsWith("/")) {
      throw fail(`linux.namespaces[${index}].path`, `want an absolute path, not "${path}"`);
    }
    types.add(type);
  }
  return types;
}

function validateMappings(linux: Linux, namespaces: ReadonlySet<NamespaceType>): void {
  const mapped = (linux.uidMappings ?? []).length > 0 || (linux.gidMappings ?? []).length > 0;
  const joined = (type: NamespaceType) =>
    (linux.namespaces ?? []).some((namespace) => namespace.type === type && (namespace.path ?? "") !== "");
  if (mapped && !namespaces.has("user")) {
    throw fail("linux.uidMappings", "ids are mapped in a user namespace only: want one in linux.namespaces");
  }
  if (namespaces.has("user") && !mapped && !joined("user")) {
    throw fail("linux.uidMappings", "a new user namespace without mappings has no users: want at least one");
  }
  if (Object.keys(linux.timeOffsets ?? {}).length > 0 && (!namespaces.has("time") || joined("time"))) {
    throw fail("linux.timeOffsets", "offsets need a new time namespace: want one without path in linux.namespaces");
  }
}

/** A name that the kernel takes (dev_valid_name), as runc checks it. */
const isDeviceName = (name: string): boolean => /^[^/:\s\0]{1,15}$/.test(name) && name !== "." && name !== "..";

function validateNetDevices({ netDevices = {} }: Linux, namespaces: ReadonlySet<NamespaceType>): void {
  const devices = Object.entries(netDevices);
  if (devices.length === 0) return;
  if (!namespaces.has("network")) {
    throw fail("linux.netDevices", "unable to move network devices without a network namespace: want one");
  }
  for (const [name, { name: wanted }] of devices) {
    for (const one of [name, wanted || name]) {
      if (!isDeviceName(one)) throw fail("linux.netDevices", `invalid network device name ${JSON.stringify(one)}`);
    }
  }
}

function validateMounts(spec: Spec): void {
  for (const [index, mount] of (spec.mounts ?? []).entries()) {
    // A relative one is counted from the root with a warning by runc; that is left to whoever mounts.
    if (mount.destination === "") throw fail(`mounts[${index}].destination`, "want a path, not an empty string");
    if ((mount.uidMappings === undefined) !== (mount.gidMappings === undefined)) {
      throw fail(`mounts[${index}].uidMappings`, "want both uidMappings and gidMappings, or none");
    }
  }
}

function validateDevices(linux: Linux): void {
  for (const [index, device] of (linux.devices ?? []).entries()) {
    const property = `linux.devices[${index}]`;
    if (!device.path.startsWith("/")) throw fail(`${property}.path`, `want an absolute path, not "${device.path}"`);
    if (device.type === "p") continue;
    for (const number of ["major", "minor"] as const) {
      if (device[number] === undefined || device[number] < 0) {
        throw fail(`${property}.${number}`, "want a device number");
      }
    }
  }
  for (const [index, rule] of (linux.resources?.devices ?? []).entries()) {
    const property = `linux.resources.devices[${index}]`;
    if (rule.type !== undefined && !["", "a", "b", "c"].includes(rule.type)) {
      throw fail(`${property}.type`, `want a, b or c, not "${rule.type}"`);
    }
    if (!rule.access) throw fail(`${property}.access`, "device access cannot be empty: want letters of rwm");
  }
}

const ipcSysctls = new Set(
  "msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced".split(" ").map((name) => `kernel.${name}`),
);

/** Only what belongs to a namespace of the container: everything else would change the host (runc `sysctl`). */
function validateSysctl(linux: Linux, namespaces: ReadonlySet<NamespaceType>): void {
  for (const name of Object.keys(linux.sysctl ?? {})) {
    const property = `linux.sysctl[${JSON.stringify(name)}]`;
    const bySlash = name.search(/[./]/) >= 0 && name.search(/[./]/) === name.indexOf("/");
    const parts = bySlash ? name.split("/") : name.split(".").map((part) => part.replaceAll("/", "."));
    if (parts.some((part) => part === "" || part === "." || part === ".." || part.includes("/"))) {
      throw fail(property, "want a name such as net.ipv4.ip_forward");
    }
    const needed = namespaceOf(parts);
    if (needed === undefined) throw fail(property, "it belongs to no namespace: the whole machine would change");
    if (!namespaces.has(needed)) {
      throw fail(property, `the host's own would change: want a ${needed} namespace in linux.namespaces`);
    }
  }
}

function namespaceOf(parts: readonly string[]): NamespaceType | undefined {
  const name = parts.join(".");
  if (ipcSysctls.has(name) || (parts[0] === "fs" && parts[1] === "mqueue" && parts.length > 2)) return "ipc";
  if (parts[0] === "net" && parts.length > 1) return "network";
  if (parts[0] === "user" && parts.length > 1) return "user";
  // The host name has a property of its own.
  return name === "kernel.domainname" ? "uts" : undefined;
}

function validateResources({ resources }: Linux): void {
  const { limit, swap, swappiness } = resources?.memory ?? {};
  if (swap !== undefined && swap > 0) {
    if (limit === undefined || limit === 0) throw fail("linux.resources.memory.swap", "want memory.limit as well");
    if (limit > swap) {
      throw fail("linux.resources.memory.swap", `it counts memory too: want at least the limit ${limit}`);
    }
  }
  if (swappiness !== undefined && swappiness > 100) throw fail("linux.resources.memory.swappiness", "want 0 to 100");
  for (const file of Object.keys(resources?.unified ?? {})) {
    if (!/^[^/.]+\.[^/]+$/.test(file)) {
      throw fail(
        `linux.resources.unified[${JSON.stringify(file)}]`,
        "want the name of a cgroup file such as memory.high",
      );
    }
  }
}
