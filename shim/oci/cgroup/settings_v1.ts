/**
 * `linux.resources` as settings of cgroup version 1 (Linux: admin-guide/cgroup-v1).
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Resources } from "../../../api/oci/runtime_spec.ts";
import { checkSwap, decimal } from "./amount.ts";
import { blockIOSettingsV1 } from "./block_io.ts";
import { rdmaSettings } from "./rdma.ts";
import type { Setting } from "./settings.ts";

type Of<K extends keyof Resources> = NonNullable<Resources[K]>;

/** All settings but the device rules, in the order of writing. Throws `InvalidArgument`. */
export function settingsV1(resources: Resources): Setting[] {
  if (Object.keys(resources.unified ?? {}).length > 0) {
    throw new Failure("InvalidArgument", "cannot set resources.unified: this host has cgroup version 1; remove it");
  }
  const { cpu, memory, pids, blockIO, hugepageLimits, network, rdma } = resources;
  // What is not there is not called: code that runs for the first time is slow.
  return [
    ...(cpu ? cpusetSettings(cpu) : []),
    ...(memory ? memorySettings(memory) : []),
    ...(cpu ? cpuSettings(cpu) : []),
    ...(pids ? pidsSettings(pids) : []),
    ...(blockIO ? blockIOSettingsV1(blockIO) : []),
    ...(hugepageLimits ? hugetlbSettings(hugepageLimits) : []),
    ...(network ? networkSettings(network) : []),
    ...(rdma ? rdmaSettings(rdma) : []),
  ];
}

function cpusetSettings({ cpus, mems }: Of<"cpu">): Setting[] {
  const settings: Setting[] = [];
  // A mount with the option "noprefix" has the files without "cpuset.".
  for (const [name, value] of [["cpus", cpus], ["mems", mems]] as const) {
    if (!value) continue;
    const property = `cpu.${name}`;
    settings.push({ controller: "cpuset", file: `cpuset.${name}`, value, property, orElse: { file: name, value } });
  }
  return settings;
}

function memorySettings(given: Of<"memory">): Setting[] {
  const { limit = 0, swap = 0, reservation = 0, swappiness, disableOOMKiller } = given;
  checkSwap(limit, swap);
  const settings: Setting[] = [];
  const add = (file: string, value: number, property: string, more: Partial<Setting> = {}) => {
    property = `memory.${property}`;
    settings.push({ controller: "memory", file: `memory.${file}`, value: decimal(value, property), property, ...more });
  };
  // The kernel keeps memory ≤ memory+swap at every moment. To raise both or to lower both, whichever was refused first
  // is accepted once the other is written.
  // Without swap accounting there is no file, and nothing to make unlimited.
  if (limit === -1 && swap === 0) add("memsw.limit_in_bytes", -1, "limit", { allow: ["ENOENT"] });
  else if (swap === -1) add("memsw.limit_in_bytes", -1, "swap");
  if (limit !== 0) add("limit_in_bytes", limit, "limit", swap > 0 ? { retry: true } : {});
  if (swap > 0) add("memsw.limit_in_bytes", swap, "swap");
  if (reservation !== 0) add("soft_limit_in_bytes", reservation, "reservation");
  if (disableOOMKiller) add("oom_control", 1, "disableOOMKiller");
  if (swappiness !== undefined && swappiness !== -1) {
    if (swappiness < 0 || swappiness > 100) {
      throw new Failure("InvalidArgument", `cannot use memory.swappiness ${swappiness}: want 0 to 100`);
    }
    add("swappiness", swappiness, "swappiness");
  }
  return settings;
}

function cpuSettings(given: Of<"cpu">): Setting[] {
  const { shares = 0, quota = 0, period = 0, burst, realtimeRuntime = 0, realtimePeriod = 0, idle } = given;
  const settings: Setting[] = [];
  const add = (file: string, value: number, property: string, more: Partial<Setting> = {}) => {
    property = `cpu.${property}`;
    settings.push({ controller: "cpu", file: `cpu.${file}`, value: decimal(value, property), property, ...more });
  };
  if (realtimePeriod !== 0) add("rt_period_us", realtimePeriod, "realtimePeriod", retryBefore(realtimeRuntime));
  if (realtimeRuntime !== 0) add("rt_runtime_us", realtimeRuntime, "realtimeRuntime");
  // An idle cgroup refuses shares: they are set before it becomes idle, and after it ceases to be.
  if (idle === 0) add("idle", 0, "idle");
  if (shares !== 0) add("shares", shares, "shares", { readBack: true });
  // Bursts are of Linux 5.14. The kernel keeps burst + quota within bounds and quota/period below the parent's.
  if (burst !== undefined) add("cfs_burst_us", burst, "burst", { allow: ["ENOENT"], ...retryBefore(quota || period) });
  if (period !== 0) add("cfs_period_us", period, "period", retryBefore(quota));
  if (quota !== 0) add("cfs_quota_us", quota, "quota");
  if (idle !== undefined && idle !== 0) add("idle", idle, "idle");
  return settings;
}

/** Marks a setting whose partner follows. */
function retryBefore(partner: number): { retry?: true } {
  return partner === 0 ? {} : { retry: true };
}

/** Zero is a limit here (runc ≥ 1.4): the smallest one, since the container's own first process counts. */
function pidsSettings({ limit }: Of<"pids">): Setting[] {
  if (limit === undefined) return [];
  const value = limit < 0 ? "max" : decimal(limit || 1, "pids.limit");
  return [{ controller: "pids", file: "pids.max", value, property: "pids.limit" }];
}

function hugetlbSettings(limits: Of<"hugepageLimits">): Setting[] {
  return limits.flatMap(({ pageSize, limit }) => {
    const property = `hugepageLimits["${pageSize}"]`;
    const shared = { controller: "hugetlb", value: decimal(limit, property), property };
    return [
      { ...shared, file: `hugetlb.${pageSize}.limit_in_bytes` },
      // Limits of reservations are of Linux 5.7.
      { ...shared, file: `hugetlb.${pageSize}.rsvd.limit_in_bytes`, allow: ["ENOENT"] as const },
    ];
  });
}

function networkSettings(given: Of<"network">): Setting[] {
  const { classID, priorities = [] } = given;
  const settings: Setting[] = [];
  if (classID) {
    const property = "network.classID";
    settings.push({ controller: "net_cls", file: "net_cls.classid", value: decimal(classID, property), property });
  }
  const property = "network.priorities";
  if (!Array.isArray(priorities)) {
    throw new Failure("InvalidArgument", `cannot use ${property} ${JSON.stringify(priorities)}: want a list`);
  }
  for (const entry of priorities) {
    const { name, priority } = Object(entry);
    if (typeof name !== "string" || !/^[^\s/]+$/.test(name)) {
      throw new Failure(
        "InvalidArgument",
        `cannot use ${JSON.stringify(name)} in ${property}: want an interface's name`,
      );
    }
    const value = `${name} ${decimal(priority, property)}`;
    settings.push({ controller: "net_prio", file: "net_prio.ifpriomap", value, property });
  }
  return settings;
}
