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
  /** The service manager's version. */
  systemd: number;
  /** The text of `/proc/devices`, the names of major numbers. */
  groups: string;
  /** Whether there is such a node. */
  exists: (path: string) => boolean;
}

/** Reads numbers from a path of `/dev/char` and `/dev/block` that does not exist, and knows `char-MAJOR`. */
const numbersSince = 240;

/** The properties of a policy. A policy that allows all but a few cannot be said, and is left to the container's own filter. */
export function deviceProperties(policy: DevicePolicy, facts: DeviceFacts): UnitProperty[] {
  if (allowsEverything(policy)) return [property("DevicePolicy", "s", "auto"), property("DeviceAllow", "a(ss)", [])];
  const entries = policy.allow ? [] : policy.exceptions.flatMap((exception) => {
    const path = pathOf(exception, facts);
    return path === undefined ? [] : [[path, letters(exception)]];
  });
  return [
    property("DevicePolicy", "s", "strict"),
    // A list is added to the one that is there, and an empty one clears that first.
    property("DeviceAllow", "a(ss)", []),
    property("DeviceAllow", "a(ss)", entries),
  ];
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
