/**
 * Statistics of cgroup version 2 (Linux: admin-guide/cgroup-v2), in the terms of version 1 as runc gives them.
 *
 * @module
 */
import type { BlockEntry, MemoryEntry, Stats } from "./stats.ts";
import { parseFlat, parseNumber, parseRanges, withoutZeros } from "./stats_text.ts";

type Read = (file: string) => string | undefined;

/** io.stat's counts by their place in version 1's files. */
const blockCounts: readonly [key: string, name: string, op: string][] = [
  ["rbytes", "ioServiceBytesRecursive", "Read"],
  ["wbytes", "ioServiceBytesRecursive", "Write"],
  ["rios", "ioServicedRecursive", "Read"],
  ["wios", "ioServicedRecursive", "Write"],
];

/** Reads what the kernel has; `read` gives undefined for files that are not there. */
export function statsV2(read: Read): Stats {
  const cpu = parseFlat(read("cpu.stat"));
  // Microseconds.
  const time = (name: string): number => (cpu[name] ?? 0) * 1000;
  return {
    cpu: {
      usage: { ...withoutZeros({ total: time("usage_usec") }), kernel: time("system_usec"), user: time("user_usec") },
      throttling: withoutZeros({
        periods: cpu["nr_periods"],
        throttledPeriods: cpu["nr_throttled"],
        throttledTime: time("throttled_usec"),
      }),
    },
    cpuset: withoutZeros({
      cpus: parseRanges(read("cpuset.cpus")),
      mems: parseRanges(read("cpuset.mems")),
    }),
    memory: memory(read),
    pids: withoutZeros({
      current: parseNumber(read("pids.current")),
      limit: read("pids.max") === "max" ? 0 : parseNumber(read("pids.max")),
    }),
    blkio: blockDevices(read("io.stat") ?? ""),
    hugetlb: {},
    intel_rdt: {},
    network_interfaces: null,
  };
}

function memory(read: Read): Stats["memory"] {
  const raw = parseFlat(read("memory.stat"));
  const usage = entry(read, "memory.");
  const swap = entry(read, "memory.swap.");
  return {
    ...withoutZeros({ cache: raw["file"] }),
    ...(usage === undefined ? {} : { usage }),
    // Version 1 counts memory and swap together.
    ...(usage === undefined || swap === undefined ? {} : { swap: sum(usage, swap) }),
    ...(Object.keys(raw).length === 0 ? {} : { raw }),
  };
}

function entry(read: Read, prefix: string): MemoryEntry | undefined {
  const limit = parseNumber(read(`${prefix}max`));
  if (limit === undefined) return undefined;
  return {
    limit,
    ...withoutZeros({ usage: parseNumber(read(`${prefix}current`)), max: parseNumber(read(`${prefix}peak`)) }),
    failcnt: parseFlat(read(`${prefix}events`))["max"] ?? 0,
  };
}

function sum(memory: MemoryEntry, swap: MemoryEntry): MemoryEntry {
  return {
    limit: Math.min(memory.limit + swap.limit, 2 ** 63),
    ...withoutZeros({ usage: (memory.usage ?? 0) + (swap.usage ?? 0) }),
    failcnt: swap.failcnt,
  };
}

/** `8:0 rbytes=1 wbytes=2 …` lines. */
function blockDevices(text: string): Stats["blkio"] {
  const found: Record<string, BlockEntry[]> = {};
  for (const line of text.split("\n")) {
    const [device = "", ...counts] = line.split(" ");
    const [major, minor] = device.split(":").map(Number);
    if (minor === undefined || major === undefined) continue;
    const values = new Map(counts.map((count): [string, number] => {
      const [key = "", value] = count.split("=");
      return [key, Number(value)];
    }));
    for (const [key, name, op] of blockCounts) {
      const value = values.get(key);
      if (value === undefined) continue;
      (found[name] ??= []).push({ ...withoutZeros({ major, minor }), op, ...withoutZeros({ value }) });
    }
  }
  return found;
}
