/**
 * Counters of cgroup version 2 (admin-guide/cgroup-v2.rst).
 *
 * @module
 */
import type { MemoryStat, Metrics, PSIStats } from "../../api/gen/cgroups/v2/metrics.ts";
import { counterIn, filesIn, keyedLinesIn, linesIn, tableIn } from "./counters.ts";

/** All that the directory's files say; a controller that is not enabled counts nothing. */
export function measureVersion2(directory: string): Metrics {
  const cpu = tableIn(`${directory}/cpu.stat`);
  const events = tableIn(`${directory}/memory.events`);
  return {
    pids: { current: counterIn(`${directory}/pids.current`), limit: counterIn(`${directory}/pids.max`) },
    cpu: {
      usageUsec: cpu("usage_usec"),
      userUsec: cpu("user_usec"),
      systemUsec: cpu("system_usec"),
      nrPeriods: cpu("nr_periods"),
      nrThrottled: cpu("nr_throttled"),
      throttledUsec: cpu("throttled_usec"),
      psi: pressure(`${directory}/cpu.pressure`),
      nrBursts: cpu("nr_bursts"),
      burstUsec: cpu("burst_usec"),
    },
    memory: memoryOf(directory),
    rdma: { current: rdma(`${directory}/rdma.current`), limit: rdma(`${directory}/rdma.max`) },
    io: { usage: blockIo(`${directory}/io.stat`), psi: pressure(`${directory}/io.pressure`) },
    hugetlb: hugePages(directory),
    memoryEvents: {
      low: events("low"),
      high: events("high"),
      max: events("max"),
      oom: events("oom"),
      oomKill: events("oom_kill"),
      oomGroupKill: events("oom_group_kill"),
    },
    network: [],
  };
}

function memoryOf(directory: string): MemoryStat {
  const stat = tableIn(`${directory}/memory.stat`);
  return {
    anon: stat("anon"),
    file: stat("file"),
    kernelStack: stat("kernel_stack"),
    slab: stat("slab"),
    sock: stat("sock"),
    shmem: stat("shmem"),
    fileMapped: stat("file_mapped"),
    fileDirty: stat("file_dirty"),
    fileWriteback: stat("file_writeback"),
    anonThp: stat("anon_thp"),
    inactiveAnon: stat("inactive_anon"),
    activeAnon: stat("active_anon"),
    inactiveFile: stat("inactive_file"),
    activeFile: stat("active_file"),
    unevictable: stat("unevictable"),
    slabReclaimable: stat("slab_reclaimable"),
    slabUnreclaimable: stat("slab_unreclaimable"),
    pgfault: stat("pgfault"),
    pgmajfault: stat("pgmajfault"),
    workingsetRefault: stat("workingset_refault"),
    workingsetActivate: stat("workingset_activate"),
    workingsetNodereclaim: stat("workingset_nodereclaim"),
    pgrefill: stat("pgrefill"),
    pgscan: stat("pgscan"),
    pgsteal: stat("pgsteal"),
    pgactivate: stat("pgactivate"),
    pgdeactivate: stat("pgdeactivate"),
    pglazyfree: stat("pglazyfree"),
    pglazyfreed: stat("pglazyfreed"),
    thpFaultAlloc: stat("thp_fault_alloc"),
    thpCollapseAlloc: stat("thp_collapse_alloc"),
    usage: counterIn(`${directory}/memory.current`),
    usageLimit: counterIn(`${directory}/memory.max`),
    swapUsage: counterIn(`${directory}/memory.swap.current`),
    swapLimit: counterIn(`${directory}/memory.swap.max`),
    maxUsage: counterIn(`${directory}/memory.peak`),
    swapMaxUsage: counterIn(`${directory}/memory.swap.peak`),
    psi: pressure(`${directory}/memory.pressure`),
  };
}

/** Lines `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`; undefined where the kernel does not count it. */
function pressure(path: string): PSIStats | undefined {
  const lines = linesIn(path);
  if (lines.length === 0) return undefined;
  const part = (name: string) => {
    const line = lines.find((text) => text.startsWith(`${name} `)) ?? "";
    const number = (key: string): string => new RegExp(`${key}=([\\d.]+)`).exec(line)?.[1] ?? "0";
    return {
      avg10: Number(number("avg10")),
      avg60: Number(number("avg60")),
      avg300: Number(number("avg300")),
      total: BigInt(number("total")),
    };
  };
  return { some: part("some"), full: part("full") };
}

function rdma(path: string) {
  return keyedLinesIn(path).map(({ device, value }) => ({
    device,
    hcaHandles: Number(value("hca_handle") & 0xffff_ffffn),
    hcaObjects: Number(value("hca_object") & 0xffff_ffffn),
  }));
}

function blockIo(path: string) {
  return keyedLinesIn(path).flatMap(({ device, value }) => {
    const [major, minor] = device.split(":");
    if (major === undefined || minor === undefined || !/^\d+$/.test(major + minor)) return [];
    return [{
      major: BigInt(major),
      minor: BigInt(minor),
      rbytes: value("rbytes"),
      wbytes: value("wbytes"),
      rios: value("rios"),
      wios: value("wios"),
    }];
  });
}

function hugePages(directory: string) {
  const sizes = filesIn(directory).flatMap((name) => /^hugetlb\.([^.]+)\.current$/.exec(name)?.[1] ?? []);
  return sizes.map((pagesize) => ({
    pagesize,
    current: counterIn(`${directory}/hugetlb.${pagesize}.current`),
    max: counterIn(`${directory}/hugetlb.${pagesize}.max`),
    failcnt: tableIn(`${directory}/hugetlb.${pagesize}.events`)("max"),
  }));
}
