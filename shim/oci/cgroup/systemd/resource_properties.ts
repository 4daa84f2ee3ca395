/**
 * `linux.resources` as properties of a systemd unit (systemd.resource-control(5)), as runc sets them.
 *
 * systemd writes some of the limits to the cgroup's files itself, and again whenever it is reloaded: it has to know
 * them. All limits are written to the files afterwards, those that systemd has no property for included.
 *
 * @module
 */
import type { Resources } from "../../../../api/oci/runtime_spec.ts";
import { cpuWeight, swapOnly } from "../settings_v2.ts";
import { cpuQuota, cpuSet, since } from "./cpu_properties.ts";
import { amount, type UnitProperty } from "./property.ts";
import { unifiedProperties } from "./unified_properties.ts";

type Of<K extends keyof Resources> = NonNullable<Resources[K]>;

const infinity = -1;

/**
 * The properties for all limits but those of devices. `version` is the cgroup hierarchy's, `systemd` the service manager's.
 * Throws `InvalidArgument`.
 */
export function resourceProperties(resources: Resources, version: 1 | 2, systemd: number): UnitProperty[] {
  const { memory = {}, cpu = {}, pids, blockIO, unified } = resources;
  const properties = version === 1 ? memoryV1(memory) : memoryV2(memory);
  properties.push(...cpuProperties(cpu, version, systemd));
  const weight = blockIO?.weight;
  if (version === 1 && typeof weight === "number" && weight > 0) properties.push(amount("BlockIOWeight", weight));
  if (pids?.limit !== undefined) properties.push(amount("TasksMax", pids.limit < 0 ? infinity : pids.limit || 1));
  if (version === 2 && unified !== undefined) properties.push(...unifiedProperties(unified, systemd));
  return properties;
}

function memoryV1({ limit = 0 }: Of<"memory">): UnitProperty[] {
  return limit === 0 ? [] : [amount("MemoryLimit", limit)];
}

function memoryV2({ limit = 0, reservation = 0, swap = 0 }: Of<"memory">): UnitProperty[] {
  const properties: UnitProperty[] = [];
  if (limit !== 0) properties.push(amount("MemoryMax", limit));
  if (reservation !== 0) properties.push(amount("MemoryLow", reservation));
  const alone = swapOnly(limit, swap);
  if (alone !== undefined) properties.push(amount("MemorySwapMax", alone === "max" ? infinity : BigInt(alone)));
  return properties;
}

function cpuProperties(
  { shares = 0, quota = 0, period = 0, idle, cpus, mems }: Of<"cpu">,
  version: 1 | 2,
  systemd: number,
): UnitProperty[] {
  const properties: UnitProperty[] = [];
  if (version === 2 && idle === 1 && systemd >= since.cpuIdle) properties.push(amount("CPUWeight", 0));
  else if (shares !== 0) {
    properties.push(version === 1 ? amount("CPUShares", shares) : amount("CPUWeight", cpuWeight(shares)));
  }
  properties.push(...cpuQuota(quota, period, systemd));
  if (cpus) properties.push(...cpuSet("AllowedCPUs", cpus, systemd));
  if (mems) properties.push(...cpuSet("AllowedMemoryNodes", mems, systemd));
  return properties;
}
