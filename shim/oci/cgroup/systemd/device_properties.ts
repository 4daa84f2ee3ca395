/**
 * A container's devices as properties of a systemd unit (systemd.resource-control(5), DeviceAllow).
 *
 * systemd's filter and the container's own are both asked by the kernel, and systemd sets its own again when it is
 * reloaded: it has to allow what the container may use.
 *
 * @module
 */
import { access, allowsEverything, type DeviceException, type DevicePolicy } from "../device_rules.ts";
import { property, type UnitProperty } from "./property.ts";

/** What is known of the host. */
export interface DeviceFacts {
  /** Of the cgroup hierarchy that has the controllers. */
  version: 1 | 2;
  /** The service manager's version. */
  systemd: number;
  /** The text of `/proc/devices`, the names of major numbers. */
  groups: string;
  /** Whether there is such a node. */
  exists: (path: string) => boolean;
}

/** Reads numbers from a path of `/dev/char` and `/dev/block` that does not exist, and knows `char-MAJOR`. */
const numbersSince = 240;

/**
 * The properties of a policy. systemd cannot be told of one that allows all but a few. In version 2 the container's own
 * filter is beside systemd's, and is left alone to it. In version 1 there is one list that both write to: all is denied,
 * rather than allowed, should systemd write it again.
 */
export function deviceProperties(policy: DevicePolicy, facts: DeviceFacts): UnitProperty[] {
  // A list is added to the one that is there, and an empty one clears that first.
  const cleared = property("DeviceAllow", "a(ss)", []);
  if (allowsEverything(policy) || policy.allow && facts.version === 2) {
    return [property("DevicePolicy", "s", "auto"), cleared];
  }
  const strict = [property("DevicePolicy", "s", "strict"), cleared];
  if (policy.allow) return strict;
  const entries = policy.exceptions.flatMap((exception) => {
    const path = pathOf(exception, facts);
    return path === undefined ? [] : [[path, letters(exception)]];
  });
  return [...strict, property("DeviceAllow", "a(ss)", entries)];
}

/** What systemd calls the devices; undefined where it has no name for them. */
function pathOf({ type, major, minor }: DeviceException, facts: DeviceFacts): string | undefined {
  const kind = type === "c" ? "char" : "block";
  if (major === undefined) return minor === undefined ? `${kind}-*` : undefined;
  if (minor === undefined) {
    if (facts.systemd >= numbersSince) return `${kind}-${major}`;
    const group = groupOf(kind, major, facts.groups);
    return group === undefined ? undefined : `${kind}-${group}`;
  }
  const path = `/dev/${kind}/${major}:${minor}`;
  return facts.systemd >= numbersSince || facts.exists(path) ? path : undefined;
}

/** The name of a major number. */
function groupOf(kind: "char" | "block", major: number, groups: string): string | undefined {
  const [characters = "", blocks = ""] = groups.split("Block devices:");
  const line = new RegExp(`^ *${major} (\\S+)$`, "m").exec(kind === "char" ? characters : blocks);
  return line?.[1];
}

function letters({ access: bits }: DeviceException): string {
  return (bits & access.r ? "r" : "") + (bits & access.w ? "w" : "") + (bits & access.m ? "m" : "");
}
