/**
 * Which devices a container may use: the rules of `linux.resources.devices`, applied in order, become one default and
 * the exceptions from it.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Device, DeviceRule } from "../../../api/oci/runtime_spec.ts";

/** What may be done with a device: bits of the kernel's BPF_DEVCG_ACC_… */
export const access = { m: 1, r: 2, w: 4 } as const;

/** Mknod, read and write. */
export const fullAccess = 7;

/** Devices of one kind that are treated otherwise than the default says; undefined numbers mean all. */
export interface DeviceException {
  type: "b" | "c";
  major: number | undefined;
  minor: number | undefined;
  /** Bits of {@link access}. */
  access: number;
}

/** The outcome of all rules. */
export interface DevicePolicy {
  /** What holds for devices without exception. */
  allow: boolean;
  /** Sorted; none covers another. */
  exceptions: DeviceException[];
}

const char = (major: number | undefined, minor: number | undefined, bits = fullAccess): DeviceException => ({
  type: "c",
  major,
  minor,
  access: bits,
});

/**
 * What every container may use, as runc appends it to any configuration: making nodes (which says nothing of using
 * them), the six standard devices, terminals, and tun. Sorted.
 */
const alwaysAllowed: readonly { device: DeviceException; path?: string }[] = [
  { device: { type: "b", major: undefined, minor: undefined, access: access.m } },
  { device: char(undefined, undefined, access.m) },
  { device: char(1, 3), path: "/dev/null" },
  { device: char(1, 5), path: "/dev/zero" },
  { device: char(1, 7), path: "/dev/full" },
  { device: char(1, 8), path: "/dev/random" },
  { device: char(1, 9), path: "/dev/urandom" },
  { device: char(5, 0), path: "/dev/tty" },
  { device: char(5, 2) }, // /dev/pts/ptmx
  { device: char(10, 200) }, // /dev/net/tun
  { device: char(136, undefined) }, // /dev/pts/*
];

/**
 * The policy of a container. The spec's rules come first and the ones of every container last. Where the spec makes a
 * device of its own at the path of a standard one (`configured`, its `linux.devices`), that one's rule is left out.
 *
 * The last rule that speaks of a device decides; only what the spec denies in broad terms stays denied although every
 * container may use a part of it. Throws `InvalidArgument` for a malformed rule, and for one that would
 * take a part out of a broader one: neither version's filter can express that.
 */
export function devicePolicy(
  rules: readonly DeviceRule[],
  configured: readonly Pick<Device, "path">[] = [],
): DevicePolicy {
  const policy: DevicePolicy = { allow: false, exceptions: [] };
  for (const rule of rules) applyRule(policy, rule);
  const always: DeviceException[] = [];
  for (const { device, path } of alwaysAllowed) {
    if (path === undefined || !configured.some((own) => own.path === path)) always.push({ ...device });
  }
  // Nearly every container's case; the general way costs a cold process half a millisecond.
  if (!policy.allow && policy.exceptions.length === 0) return { allow: false, exceptions: always };
  for (const device of always) {
    policy.exceptions = policy.allow
      ? without(policy.exceptions, device, "keep")
      : including(policy.exceptions, device);
  }
  policy.exceptions.sort((a, b) =>
    order(a.type, b.type) || order(a.major ?? -1, b.major ?? -1) || order(a.minor ?? -1, b.minor ?? -1)
  );
  return policy;
}

/** Whether the policy forbids nothing. */
export function allowsEverything({ allow, exceptions }: DevicePolicy): boolean {
  return allow && exceptions.length === 0;
}

function applyRule(policy: DevicePolicy, rule: DeviceRule): void {
  const type = rule.type || "a";
  const bits = accessBits(rule);
  const major = deviceNumber(rule, "major");
  const minor = deviceNumber(rule, "minor");
  // As for the kernel and runc, "a" is everything, whatever else the rule says.
  if (type === "a") {
    policy.allow = rule.allow;
    policy.exceptions = [];
    return;
  }
  if (type !== "b" && type !== "c") throw malformed(rule, `type "${type}"`, '"a", "b" or "c"');
  if (bits === 0) return;
  const devices: DeviceException = { type, major, minor, access: bits };
  policy.exceptions = rule.allow === policy.allow
    ? without(policy.exceptions, devices, "refuse")
    : including(policy.exceptions, devices);
}

/** The exceptions and one more; what becomes redundant is dropped. */
function including(exceptions: readonly DeviceException[], added: DeviceException): DeviceException[] {
  const same = exceptions.find((other) => covers(other, added) && covers(added, other));
  const merged = { ...added, access: added.access | (same?.access ?? 0) };
  const others = exceptions.filter((other) => other !== same);
  if (others.some((other) => covers(other, merged) && (merged.access & ~other.access) === 0)) return [...others];
  return [...others.filter((other) => !(covers(merged, other) && (other.access & ~merged.access) === 0)), merged];
}

/**
 * The exceptions minus what the rule says, which is the default again. `broader`: what to do with an exception that speaks
 * of other devices too; to keep it is right only where that denies.
 */
function without(
  exceptions: readonly DeviceException[],
  removed: DeviceException,
  broader: "refuse" | "keep",
): DeviceException[] {
  return exceptions.flatMap((other) => {
    const common = other.access & removed.access;
    if (common === 0 || !overlap(other, removed)) return [other];
    if (!covers(removed, other)) {
      if (broader === "keep") return [other];
      throw new Failure(
        "InvalidArgument",
        `cannot apply the device rule "${describe(removed)}": it takes a part out of "${describe(other)}"` +
          "; want rules for the same devices, or the broader one last",
      );
    }
    const rest = other.access & ~common;
    return rest === 0 ? [] : [{ ...other, access: rest }];
  });
}

/** Whether every device of `b` is one of `a`. */
function covers(a: DeviceException, b: DeviceException): boolean {
  return a.type === b.type && (a.major === undefined || a.major === b.major) &&
    (a.minor === undefined || a.minor === b.minor);
}

/** Whether some device is one of both. */
function overlap(a: DeviceException, b: DeviceException): boolean {
  const meet = (x: number | undefined, y: number | undefined) => x === undefined || y === undefined || x === y;
  return a.type === b.type && meet(a.major, b.major) && meet(a.minor, b.minor);
}

/** The exception as the files of cgroup version 1 spell it: `c 1:* rw`. */
export function describe({ type, major, minor, access: bits }: DeviceException): string {
  const letters = (bits & access.r ? "r" : "") + (bits & access.w ? "w" : "") + (bits & access.m ? "m" : "");
  return `${type} ${major ?? "*"}:${minor ?? "*"} ${letters}`;
}

/** Other letters say nothing: so it is for runc, and a warning names them. */
function accessBits(rule: DeviceRule): number {
  if (!rule.access) throw malformed(rule, "no access", 'one of "r", "w" and "m" at least');
  let bits = 0;
  for (const letter of rule.access) if (letter === "r" || letter === "w" || letter === "m") bits |= access[letter];
  return bits;
}

function deviceNumber(rule: DeviceRule, which: "major" | "minor"): number | undefined {
  const value = rule[which];
  if (value === undefined || value === -1) return undefined;
  // There is no device of a number beyond 12 and 20 bits, but the kernel takes rules for all that fits into a word.
  if (Number.isInteger(value) && value >= 0 && value < 2 ** 32) return value;
  throw malformed(rule, `${which} number ${value}`, "0 to 4294967295");
}

function malformed(rule: DeviceRule, what: string, right: string): Failure {
  return new Failure(
    "InvalidArgument",
    `cannot apply the device rule ${JSON.stringify(rule)} with ${what}: want ${right}`,
  );
}

function order<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
