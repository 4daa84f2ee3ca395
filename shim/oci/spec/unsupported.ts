/**
 * What a spec may ask for and this version does not do. It is refused by name: a container that only seems to have what
 * was asked for is worse than none.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Linux, NamespaceType, Process, Spec } from "../../../api/oci/runtime_spec.ts";

/** One property that cannot be honoured. */
export interface UnsupportedProperty {
  /** Its path in the spec. */
  readonly property: string;
  /** Half a sentence: what it would be for, or what to do instead. */
  readonly why: string;
}

/** Every such property of the spec. What is there but empty or zero counts as not set: dockerd sends all of them. */
export function unsupportedProperties(spec: Spec): UnsupportedProperty[] {
  return collect((check) => {
    if (spec.process !== undefined) checkProcess(spec.process, check);
    for (const [index, mount] of (spec.mounts ?? []).entries()) {
      const idmap = mount.uidMappings ?? mount.options?.find((option) => option === "idmap" || option === "ridmap");
      check(`mounts[${index}]`, idmap, "id-mapped mounts are not supported yet");
      const copyUp = mount.options?.find((option) => option === "tmpcopyup");
      check(`mounts[${index}].options`, copyUp, "tmpcopyup is not supported yet");
    }
    if (spec.linux !== undefined) checkLinux(spec.linux, check);
  });
}

/** Throws `NotImplemented` that lists what of the spec this version cannot do. */
export function refuseUnsupported(spec: Spec): void {
  refuse("the spec", unsupportedProperties(spec));
}

/** The same for a process alone, which `exec` runs. */
export function refuseUnsupportedProcess(process: Process): void {
  refuse("the process", collect((check) => checkProcess(process, check)));
}

function refuse(what: string, found: readonly UnsupportedProperty[]): void {
  if (found.length === 0) return;
  const list = found.map(({ property, why }) => `${property} (${why})`).join(", ");
  throw new Failure("NotImplemented", `${what} asks for what this version does not support: ${list}`);
}

function collect(ask: (check: Check) => void): UnsupportedProperty[] {
  const found: UnsupportedProperty[] = [];
  ask((property, value, why) => {
    if (isSet(value)) found.push({ property, why });
  });
  return found;
}

/** Types of namespaces that a spec may ask for, in alphabetical order. */
export const supportedNamespaces: readonly NamespaceType[] = ["cgroup", "ipc", "mount", "network", "pid", "uts"];

type Check = (property: string, value: unknown, why: string) => void;

/** Anything but undefined, false, 0, "", and lists and objects in which nothing is set. */
function isSet(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.values(value).some(isSet);
  return value !== undefined && value !== null && value !== false && value !== 0 && value !== "";
}

function checkProcess(process: Process, check: Check): void {
  check("process.apparmorProfile", process.apparmorProfile, "AppArmor is not supported yet");
  check("process.selinuxLabel", process.selinuxLabel, "SELinux is not supported yet");
  // An empty object still asks for a policy, or for a class.
  check("process.scheduler", process.scheduler !== undefined, "scheduling policies are not supported yet");
  check("process.ioPriority", process.ioPriority !== undefined, "I/O priorities are not supported yet");
  check("process.execCPUAffinity", process.execCPUAffinity, "CPU affinity of exec is not supported yet");
}

/** Those that work without the host seeing the container's mounts. */
const propagations = new Set(["", "private", "rprivate", "slave", "rslave"]);

function checkLinux(linux: Linux, check: Check): void {
  for (const [index, { type }] of (linux.namespaces ?? []).entries()) {
    const missing = type === "user" || type === "time";
    check(`linux.namespaces[${index}]`, missing, `${type} namespaces are not supported yet`);
  }
  check("linux.uidMappings", linux.uidMappings, "user namespaces are not supported yet");
  check("linux.gidMappings", linux.gidMappings, "user namespaces are not supported yet");
  check("linux.timeOffsets", linux.timeOffsets, "time namespaces are not supported yet");
  check("linux.mountLabel", linux.mountLabel, "SELinux is not supported yet");
  check("linux.personality", linux.personality, "execution domains are not supported yet");
  check("linux.intelRdt", linux.intelRdt !== undefined, "resctrl is not supported yet");
  check("linux.memoryPolicy", linux.memoryPolicy !== undefined, "memory policies are not supported yet");
  check("linux.netDevices", Object.keys(linux.netDevices ?? {}), "moving network devices is not supported yet");
  const propagation = propagations.has(linux.rootfsPropagation ?? "") ? undefined : linux.rootfsPropagation;
  check("linux.rootfsPropagation", propagation, "want private or slave: mounts cannot go back to the host yet");
  checkSeccomp(linux, check);
  checkResources(linux, check);
}

function checkSeccomp({ seccomp }: Linux, check: Check): void {
  check("linux.seccomp.listenerPath", seccomp?.listenerPath, "seccomp listeners are not supported yet");
  check("linux.seccomp.listenerMetadata", seccomp?.listenerMetadata, "seccomp listeners are not supported yet");
}

function checkResources({ resources }: Linux, check: Check): void {
  // Only cgroup version 1 has them; the other controllers know themselves what they cannot do.
  check("linux.resources.network", resources?.network, "network classes and priorities are not supported yet");
}
