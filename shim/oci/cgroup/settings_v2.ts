/**
 * `linux.resources` as settings of cgroup version 2 (Linux: admin-guide/cgroup-v2).
 *
 * The specification's numbers are those of version 1; the conversions are the ones of runc.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Resources } from "../../../api/oci/runtime_spec.ts";
import { checkSwap, decimal, limitOrMax } from "./amount.ts";
import { blockIOSettingsV2 } from "./block_io.ts";
import { rdmaSettings } from "./rdma.ts";
import type { Setting } from "./settings.ts";

type Of<K extends keyof Resources> = NonNullable<Resources[K]>;

/** Default of the kernel, in microseconds. */
const defaultPeriod = 100_000;

/** All settings but the device rules, in the order of writing. Throws `InvalidArgument`. */
export function settingsV2(resources: Resources): Setting[] {
  const { cpu, memory, pids, blockIO, hugepageLimits, rdma, unified } = resources;
  // What is not there is not called: code that runs for the first time is slow.
  return [
    ...(pids ? pidsSettings(pids) : []),
    ...(memory ? memorySettings(memory) : []),
    ...(blockIO ? blockIOSettingsV2(blockIO) : []),
    ...(cpu ? cpuSettings(cpu) : []),
    ...(cpu ? cpusetSettings(cpu) : []),
    ...(hugepageLimits ? hugetlbSettings(hugepageLimits) : []),
    ...(rdma ? rdmaSettings(rdma) : []),
    ...(unified ? unifiedSettings(unified) : []),
  ];
}

/** Zero is a limit here (runc ≥ 1.4): the smallest one, since the container's own first process counts. */
function pidsSettings({ limit }: Of<"pids">): Setting[] {
  if (limit === undefined) return [];
  const value = limit < 0 ? "max" : decimal(limit || 1, "pids.limit");
  return [{ controller: "pids", file: "pids.max", value, property: "pids.limit" }];
}

function memorySettings({ limit = 0, swap = 0, reservation = 0 }: Of<"memory">): Setting[] {
  const settings: Setting[] = [];
  const add = (file: string, value: string, property: string, more: Partial<Setting> = {}) =>
    settings.push({ controller: "memory", file: `memory.${file}`, value, property: `memory.${property}`, ...more });
  const swapValue = swapOnly(limit, swap);
  if (swapValue !== undefined) {
    // A kernel without swap accounting has no file, and nothing to refuse or to limit.
    const harmless = swapValue === "max" || swapValue === "0";
    add("swap.max", swapValue, "swap", harmless ? { allow: ["ENOENT"] } : {});
  }
  if (limit !== 0) add("max", limitOrMax(limit, "memory.limit"), "limit");
  if (reservation !== 0) add("low", limitOrMax(reservation, "memory.reservation"), "reservation");
  return settings;
}

/**
 * The limit of swap alone, or `max`: version 1 and the specification count memory and swap together. Undefined where none
 * is set. Throws `InvalidArgument`.
 */
export function swapOnly(limit: number, swap: number): string | undefined {
  if (swap === 0) return limit === -1 ? "max" : undefined;
  if (swap === -1 || limit === -1) return limitOrMax(swap, "memory.swap");
  if (limit === 0) {
    throw new Failure(
      "InvalidArgument",
      `cannot use memory.swap ${swap} without a memory limit: it counts memory and swap together; set memory.limit too`,
    );
  }
  checkSwap(limit, swap);
  return limitOrMax(swap - limit, "memory.swap");
}

function cpuSettings({ shares = 0, quota = 0, period = 0, burst, idle }: Of<"cpu">): Setting[] {
  const settings: Setting[] = [];
  const add = (file: string, value: string, property: string, more: Partial<Setting> = {}) =>
    settings.push({ controller: "cpu", file: `cpu.${file}`, value, property: `cpu.${property}`, ...more });
  const bandwidth = quota !== 0 || period !== 0;
  // An idle cgroup refuses a weight: it is set before the cgroup becomes idle, and after it ceases to be.
  if (idle === 0) add("idle", "0", "idle");
  if (shares !== 0) add("weight", String(cpuWeight(shares)), "shares");
  // Bursts are of Linux 5.14; the kernel keeps burst ≤ quota.
  if (burst !== undefined) {
    const retry = bandwidth ? { retry: true as const } : {};
    add("max.burst", decimal(burst, "cpu.burst"), "burst", { allow: ["ENOENT"], ...retry });
  }
  if (bandwidth) {
    const first = quota > 0 ? decimal(quota, "cpu.quota") : "max";
    add("max", `${first} ${decimal(period || defaultPeriod, "cpu.period")}`, quota !== 0 ? "quota" : "period");
  }
  if (idle !== undefined && idle !== 0) add("idle", decimal(idle, "cpu.idle"), "idle");
  return settings;
}

/**
 * Shares (2–262144, default 1024) as a weight (1–10000, default 100), on the curve that fits both ends and the default.
 * Both ends are clamped.
 */
export function cpuWeight(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262_144) return 10_000;
  const l = Math.log2(shares);
  const weight = 10 ** ((l * l + 125 * l) / 612 - 7 / 34);
  // Not to become 101 for a rounding error in the last bit of 100.
  return Math.ceil(weight - 1e-9);
}

function cpusetSettings({ cpus, mems }: Of<"cpu">): Setting[] {
  const settings: Setting[] = [];
  for (const [name, value] of [["cpus", cpus], ["mems", mems]] as const) {
    if (value) settings.push({ controller: "cpuset", file: `cpuset.${name}`, value, property: `cpu.${name}` });
  }
  return settings;
}

function hugetlbSettings(limits: Of<"hugepageLimits">): Setting[] {
  return limits.flatMap(({ pageSize, limit }) => {
    const property = `hugepageLimits["${pageSize}"]`;
    const shared = { controller: "hugetlb", value: decimal(limit, property), property };
    return [
      { ...shared, file: `hugetlb.${pageSize}.max` },
      // Limits of reservations are of Linux 5.7.
      { ...shared, file: `hugetlb.${pageSize}.rsvd.max`, allow: ["ENOENT"] as const },
    ];
  });
}

/** Written as they are, each line with its own write(2). */
function unifiedSettings(files: Of<"unified">): Setting[] {
  return Object.entries(files).flatMap(([file, text]) => {
    const controller = /^([a-z0-9_]+)\.[^/]+$/.exec(file)?.[1];
    if (controller === undefined || file.includes("..")) {
      throw new Failure(
        "InvalidArgument",
        `cannot set unified["${file}"]: it is no file of a cgroup; want a name such as "memory.high"`,
      );
    }
    const lines = text.split("\n").filter((line, index) => line !== "" || index === 0);
    return lines.map((value) => ({ controller, file, value, property: `unified["${file}"]` }));
  });
}
