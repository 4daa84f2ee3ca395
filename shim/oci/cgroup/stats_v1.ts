/**
 * Statistics of cgroup version 1 (Linux: admin-guide/cgroup-v1).
 *
 * @module
 */
import type { BlockEntry, MemoryEntry, ReadFile, Stats } from "./stats.ts";
import { parseFlat, parseNumber, parseNumbers, parseRanges, withoutZeros } from "./stats_text.ts";

/** Clock ticks of cpuacct.stat are 1/100 s on every architecture that Linux has for containers. */
const nanosecondsPerTick = 10_000_000;

const cpusetNumbers = [
  "cpu_exclusive",
  "mem_hardwall",
  "mem_exclusive",
  "memory_migrate",
  "memory_spread_page",
  "memory_spread_slab",
  "memory_pressure",
  "sched_load_balance",
  "sched_relax_domain_level",
];

const blockFiles: Readonly<Record<string, string>> = {
  ioServiceBytesRecursive: "throttle.io_service_bytes_recursive",
  ioServicedRecursive: "throttle.io_serviced_recursive",
  ioQueueRecursive: "io_queued_recursive",
  ioServiceTimeRecursive: "io_service_time_recursive",
  ioWaitTimeRecursive: "io_wait_time_recursive",
  ioMergedRecursive: "io_merged_recursive",
  ioTimeRecursive: "time_recursive",
  sectorsRecursive: "sectors_recursive",
};

/** All but the huge pages. */
export function statsV1(read: ReadFile): Omit<Stats, "hugetlb"> {
  const ticks = parseFlat(read("cpuacct", "cpuacct.stat"));
  const throttled = parseFlat(read("cpu", "cpu.stat"));
  const perCpu = perCpuTimes(read("cpuacct", "cpuacct.usage_all"));
  return {
    cpu: {
      usage: {
        ...withoutZeros({
          total: parseNumber(read("cpuacct", "cpuacct.usage")),
          percpu: parseNumbers(read("cpuacct", "cpuacct.usage_percpu")),
          percpu_kernel: perCpu.kernel,
          percpu_user: perCpu.user,
        }),
        kernel: (ticks["system"] ?? 0) * nanosecondsPerTick,
        user: (ticks["user"] ?? 0) * nanosecondsPerTick,
      },
      throttling: withoutZeros({
        periods: throttled["nr_periods"],
        throttledPeriods: throttled["nr_throttled"],
        throttledTime: throttled["throttled_time"],
      }),
    },
    cpuset: cpuset(read),
    memory: memory(read),
    pids: withoutZeros({
      current: parseNumber(read("pids", "pids.current")),
      limit: read("pids", "pids.max") === "max" ? 0 : parseNumber(read("pids", "pids.max")),
    }),
    blkio: blockDevices(read),
    intel_rdt: {},
    network_interfaces: null,
  };
}

/** `cpu user system` lines below a header. */
function perCpuTimes(text: string | undefined): { user: number[]; kernel: number[] } {
  const rows = (text ?? "").split("\n").slice(1).map(parseNumbers).filter((row) => row.length === 3);
  return { user: rows.map((row) => row[1]!), kernel: rows.map((row) => row[2]!) };
}

function cpuset(read: ReadFile): Stats["cpuset"] {
  const numbers = cpusetNumbers.map((name): [string, number] => [
    name,
    parseNumber(read("cpuset", `cpuset.${name}`)) ?? 0,
  ]);
  return {
    cpus: parseRanges(read("cpuset", "cpuset.cpus")),
    mems: parseRanges(read("cpuset", "cpuset.mems")),
    ...Object.fromEntries(numbers),
  };
}

function memoryEntry(read: ReadFile, kind: string): MemoryEntry | undefined {
  const value = (name: string) => parseNumber(read("memory", `memory.${kind}${name}`));
  const limit = value("limit_in_bytes");
  if (limit === undefined) return undefined;
  return {
    limit,
    ...withoutZeros({ usage: value("usage_in_bytes"), max: value("max_usage_in_bytes") }),
    failcnt: value("failcnt") ?? 0,
  };
}

function memory(read: ReadFile): Stats["memory"] {
  const raw = parseFlat(read("memory", "memory.stat"));
  return withoutZeros({
    cache: raw["cache"],
    usage: memoryEntry(read, ""),
    swap: memoryEntry(read, "memsw."),
    kernel: memoryEntry(read, "kmem."),
    kernelTCP: memoryEntry(read, "kmem.tcp."),
    raw: Object.keys(raw).length === 0 ? undefined : raw,
  });
}

function blockDevices(read: ReadFile): Stats["blkio"] {
  const found: Stats["blkio"] = {};
  for (const [name, file] of Object.entries(blockFiles)) {
    const entries = (read("blkio", `blkio.${file}`) ?? "").split("\n").flatMap(blockEntry);
    if (entries.length > 0) found[name] = entries;
  }
  return found;
}

/** `8:0 Read 4096`, or `8:0 123`; the line of the total has no device. */
function blockEntry(line: string): BlockEntry[] {
  const match = /^(\d+):(\d+)(?: ([A-Za-z]+))? (\d+)$/.exec(line);
  if (match === null) return [];
  const [, major, minor, op, value] = match;
  return [{
    ...withoutZeros({ major: Number(major), minor: Number(minor) }),
    ...(op === undefined ? {} : { op }),
    ...withoutZeros({ value: Number(value) }),
  }];
}

/** Huge pages, by size. */
export function hugetlbStats(sizes: readonly string[], read: ReadFile): Stats["hugetlb"] {
  const found: Stats["hugetlb"] = {};
  for (const size of sizes) {
    const value = (name: string) => parseNumber(read("hugetlb", `hugetlb.${size}.${name}`));
    const failcnt = value("failcnt");
    if (failcnt === undefined) continue;
    found[size] = {
      ...withoutZeros({ usage: value("usage_in_bytes"), max: value("max_usage_in_bytes") }),
      failcnt,
    };
  }
  return found;
}
