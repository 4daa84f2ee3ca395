/**
 * Device policies in cgroup version 1: lines for `devices.deny` and `devices.allow`
 * (Linux: admin-guide/cgroup-v1/devices).
 *
 * @module
 */
import { describe, type DevicePolicy } from "./device_rules.ts";

/** One write to one file. */
export interface DeviceLine {
  file: "devices.deny" | "devices.allow";
  line: string;
}

/**
 * The writes that bring a cgroup from `list`, the contents of its `devices.list`, to the policy.
 *
 * A list that denies by default gets only the difference: within a restricted parent nothing can be allowed anew. One
 * that allows by default does not show its exceptions (the kernel prints `a *:* rwm` alone), but a write of `a` drops
 * them.
 */
export function deviceLines(policy: DevicePolicy, list: string): DeviceLine[] {
  const current = list.split("\n").filter((line) => line !== "");
  const allowsByDefault = current.includes("a *:* rwm");
  const wanted = policy.exceptions.map(describe);
  if (policy.allow) {
    const deny = wanted.map((line): DeviceLine => ({ file: "devices.deny", line }));
    return allowsByDefault && deny.length === 0 ? [] : [{ file: "devices.allow", line: "a" }, ...deny];
  }
  if (allowsByDefault) {
    return [
      { file: "devices.deny", line: "a" },
      ...wanted.map((line): DeviceLine => ({ file: "devices.allow", line })),
    ];
  }
  return [
    ...current.filter((line) => !wanted.includes(line)).map((line): DeviceLine => ({ file: "devices.deny", line })),
    ...wanted.filter((line) => !current.includes(line)).map((line): DeviceLine => ({ file: "devices.allow", line })),
  ];
}
