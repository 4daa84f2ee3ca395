/**
 * Counters of cgroup version 1 (admin-guide/cgroup-v1).
 *
 * @module
 */
import type { BlkIOEntry, MemoryEntry, MemoryStat, Metrics } from "../../api/gen/cgroups/v1/metrics.ts";
import type { ContainerCgroups } from "./container_cgroups.ts";
import { counterIn, filesIn, keyedLinesIn, linesIn, tableIn } from "./counters.ts";

/** Ticks of cpuacct.stat, USER_HZ of the kernel's interface, in nanoseconds. */
const tickNanos = 10_000_000n;

/** All that the controllers count; what has no controller stays out. */
export function measureVersion1({ directory }: ContainerCgroups): Metrics {
  const of = <T>(controller: string, read: (directory: string) => T): T | undefined => {
    const found = directory(controller);
    return found === undefined ? undefined : read(found);
  };
  return {
    hugetlb: of("hugetlb", hugePages) ?? [],
    pids: of("pids", (path) => ({ current: counterIn(`${path}/pids.current`), limit: limitOf(`${path}/pids.max`) })),
    cpu: { usage: of("cpuacct", usage), throttling: of("cpu", throttling) },
    memory: of("memory", memoryOf),
    blkio: of("blkio", blockIo),
    rdma: of("rdma", (path) => ({
      current: rdmaEntries(`${path}/rdma.current`),
      limit: rdmaEntries(`${path}/rdma.max`),
    })),
    network: [],
    cgroupStats: undefined,
    memoryOomControl: of("memory", oomControl),
  };
}

/** containerd has 0 where there is none. */
function limitOf(path: string): bigint {
  return linesIn(path)[0] === "max" ? 0n : counterIn(path);
}

function hugePages(directory: string) {
  const sizes = filesIn(directory).flatMap((name) => /^hugetlb\.([^.]+)\.usage_in_bytes$/.exec(name)?.[1] ?? []);
  return sizes.map((pagesize) => ({
    pagesize,
    usage: counterIn(`${directory}/hugetlb.${pagesize}.usage_in_bytes`),
    max: counterIn(`${directory}/hugetlb.${pagesize}.max_usage_in_bytes`),
    failcnt: counterIn(`${directory}/hugetlb.${pagesize}.failcnt`),
  }));
}

function usage(directory: string) {
  const stat = tableIn(`${directory}/cpuacct.stat`);
  return {
    total: counterIn(`${directory}/cpuacct.usage`),
    kernel: stat("system") * tickNanos,
    user: stat("user") * tickNanos,
    perCpu: (linesIn(`${directory}/cpuacct.usage_percpu`)[0] ?? "").split(" ").filter((text) => text !== "").map(
      BigInt,
    ),
  };
}

function throttling(directory: string) {
  const stat = tableIn(`${directory}/cpu.stat`);
  return {
    periods: stat("nr_periods"),
    throttledPeriods: stat("nr_throttled"),
    throttledTime: stat("throttled_time"),
  };
}

function memoryOf(directory: string): MemoryStat {
  const stat = tableIn(`${directory}/memory.stat`);
  const entry = (name: string): MemoryEntry => ({
    limit: counterIn(`${directory}/memory.${name}limit_in_bytes`),
    usage: counterIn(`${directory}/memory.${name}usage_in_bytes`),
    max: counterIn(`${directory}/memory.${name}max_usage_in_bytes`),
    failcnt: counterIn(`${directory}/memory.${name}failcnt`),
  });
  return {
    cache: stat("cache"),
    rss: stat("rss"),
    rssHuge: stat("rss_huge"),
    mappedFile: stat("mapped_file"),
    dirty: stat("dirty"),
    writeback: stat("writeback"),
    pgPgIn: stat("pgpgin"),
    pgPgOut: stat("pgpgout"),
    pgFault: stat("pgfault"),
    pgMajFault: stat("pgmajfault"),
    inactiveAnon: stat("inactive_anon"),
    activeAnon: stat("active_anon"),
    inactiveFile: stat("inactive_file"),
    activeFile: stat("active_file"),
    unevictable: stat("unevictable"),
    hierarchicalMemoryLimit: stat("hierarchical_memory_limit"),
    hierarchicalSwapLimit: stat("hierarchical_memsw_limit"),
    totalCache: stat("total_cache"),
    totalRss: stat("total_rss"),
    totalRssHuge: stat("total_rss_huge"),
    totalMappedFile: stat("total_mapped_file"),
    totalDirty: stat("total_dirty"),
    totalWriteback: stat("total_writeback"),
    totalPgPgIn: stat("total_pgpgin"),
    totalPgPgOut: stat("total_pgpgout"),
    totalPgFault: stat("total_pgfault"),
    totalPgMajFault: stat("total_pgmajfault"),
    totalInactiveAnon: stat("total_inactive_anon"),
    totalActiveAnon: stat("total_active_anon"),
    totalInactiveFile: stat("total_inactive_file"),
    totalActiveFile: stat("total_active_file"),
    totalUnevictable: stat("total_unevictable"),
    usage: entry(""),
    swap: entry("memsw."),
    kernel: entry("kmem."),
    kernelTcp: entry("kmem.tcp."),
  };
}

function oomControl(directory: string) {
  const control = tableIn(`${directory}/memory.oom_control`);
  return {
    oomKillDisable: control("oom_kill_disable"),
    underOom: control("under_oom"),
    oomKill: control("oom_kill"),
  };
}

function blockIo(directory: string) {
  const entries = (name: string): BlkIOEntry[] => blockEntries(`${directory}/blkio.${name}`);
  // Newer kernels have the counters of throttling only.
  const or = (name: string, other: string): BlkIOEntry[] => {
    const found = entries(name);
    return found.length > 0 ? found : entries(other);
  };
  return {
    ioServiceBytesRecursive: or("io_service_bytes_recursive", "throttle.io_service_bytes_recursive"),
    ioServicedRecursive: or("io_serviced_recursive", "throttle.io_serviced_recursive"),
    ioQueuedRecursive: entries("io_queued_recursive"),
    ioServiceTimeRecursive: entries("io_service_time_recursive"),
    ioWaitTimeRecursive: entries("io_wait_time_recursive"),
    ioMergedRecursive: entries("io_merged_recursive"),
    ioTimeRecursive: entries("time_recursive"),
    sectorsRecursive: entries("sectors_recursive"),
  };
}

/** Lines `MAJOR:MINOR [OPERATION] VALUE`, and a sum at the end that has no device. */
function blockEntries(path: string): BlkIOEntry[] {
  return linesIn(path).flatMap((line) => {
    const [, major, minor, op = "", value] = /^(\d+):(\d+) (?:(\w+) )?(\d+)$/.exec(line) ?? [];
    if (major === undefined || minor === undefined || value === undefined) return [];
    const device = deviceName(`${major}:${minor}`);
    return [{ op, device, major: BigInt(major), minor: BigInt(minor), value: BigInt(value) }];
  });
}

function deviceName(numbers: string): string {
  try {
    const link = Deno.readLinkSync(`/sys/dev/block/${numbers}`);
    return `/dev/${link.slice(link.lastIndexOf("/") + 1)}`;
  } catch {
    return "";
  }
}

function rdmaEntries(path: string) {
  return keyedLinesIn(path).map(({ device, value }) => ({
    device,
    hcaHandles: small(value("hca_handle")),
    hcaObjects: small(value("hca_object")),
  }));
}

/** The field has 32 bits; `max` is the largest number of them. */
function small(value: bigint): number {
  return Number(value > 0xffff_ffffn ? 0xffff_ffffn : value);
}
