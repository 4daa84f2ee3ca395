/**
 * What a spec may ask for and this version does not do. It is refused by name: a container that only seems to have what
 * was asked for is worse than none.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Linux, NamespaceType, Spec } from "../../../api/oci/runtime_spec.ts";

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
    if (spec.linux !== undefined) checkLinux(spec.linux, check);
  });
}

/** Throws `NotImplemented` that lists what of the spec this version cannot do. */
export function refuseUnsupported(spec: Spec): void {
  refuse("the spec", unsupportedProperties(spec));
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
export const supportedNamespaces: readonly NamespaceType[] = [
  "cgroup",
  "ipc",
  "mount",
  "network",
  "pid",
  "time",
  "user",
  "uts",
];

type Check = (property: string, value: unknown, why: string) => void;

/** Anything but undefined, false, 0, "", and lists and objects in which nothing is set. */
function isSet(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.values(value).some(isSet);
  return value !== undefined && value !== null && value !== false && value !== 0 && value !== "";
}

function checkLinux(linux: Linux, check: Check): void {
  check("linux.intelRdt", linux.intelRdt !== undefined, "Intel RDT is not supported or not enabled");
}
