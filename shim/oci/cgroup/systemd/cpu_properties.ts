/**
 * Processor time and processors as properties of a systemd unit (systemd.resource-control(5)).
 *
 * @module
 */
import type { Resources } from "../../../../api/oci/runtime_spec.ts";
import { cpuMask } from "./cpu_mask.ts";
import { amount, property, type UnitProperty } from "./property.ts";

/** Versions of systemd that brought properties; older ones refuse them, and the cgroup's files have to do. */
export const since = { cpuQuotaPeriod: 242, allowedCpus: 244, cpuIdle: 252, oomPolicyOfScopes: 253 } as const;

/** Default of the kernel, in microseconds. */
const periodDefault = 100_000;

/** systemd's unit of processor time, 1 %, in microseconds a second. */
const quotaStep = 10_000;

/** The properties of a quota in microseconds; 0 is what is not set, and negative quotas are no limit. */
export function cpuQuota(quota: number, period: number, systemd: number): UnitProperty[] {
  if (quota === 0 && period === 0) return [];
  const properties: UnitProperty[] = [];
  if (period !== 0 && systemd >= since.cpuQuotaPeriod) properties.push(amount("CPUQuotaPeriodUSec", period));
  properties.push(amount("CPUQuotaPerSecUSec", quota > 0 ? perSecond(quota, period) : -1));
  return properties;
}

/** Rounded up: less than was asked for would be a surprise. */
function perSecond(quota: number, period: number): number {
  const exact = Math.floor(quota * 1_000_000 / (period || periodDefault));
  return Math.ceil(exact / quotaStep) * quotaStep;
}

/**
 * The resources with the CPU quota that systemd makes of it, so that the cgroup's files say the same before and after it
 * is reloaded.
 */
export function withRoundedQuota(resources: Resources): Resources {
  const { quota = 0, period = 0 } = resources.cpu ?? {};
  if (quota <= 0) return resources;
  const rounded = Math.floor(perSecond(quota, period) * (period || periodDefault) / 1_000_000);
  return { ...resources, cpu: { ...resources.cpu, quota: Math.max(quota, rounded) } };
}

/**
 * The property of a list of processors or memory nodes; none where systemd does not know it. Throws `InvalidArgument` for
 * what is no list.
 */
export function cpuSet(name: "AllowedCPUs" | "AllowedMemoryNodes", list: string, systemd: number): UnitProperty[] {
  return systemd < since.allowedCpus ? [] : [property(name, "ay", cpuMask(list))];
}
