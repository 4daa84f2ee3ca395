/**
 * Numbers about containers for monitoring systems, under containerd's names (`container_memory_usage_usage_bytes`): one
 * table for each version of cgroups.
 *
 * @module
 */
import { Metrics as Metrics1 } from "../../api/gen/cgroups/v1/metrics.ts";
import { Metrics as Metrics2 } from "../../api/gen/cgroups/v2/metrics.ts";
import type { Any } from "../../api/gen/google/protobuf/any.ts";

/** One number of one container. */
export interface ContainerSample {
  /** Such as `container_pids_current`. */
  readonly name: string;
  readonly help: string;
  /** Besides those that tell the container. */
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** `camelCase` of the messages as `snake_case`, with the words that the kernel writes together. */
function snake(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    .replace("pg_pg_in", "pgpgin").replace("pg_pg_out", "pgpgout")
    .replace("pg_fault", "pgfault").replace("pg_maj_fault", "pgmajfault")
    .replace("hierarchical_swap_limit", "hierarchical_memsw_limit");
}

function sample(name: string, help: string, value: bigint, labels: Record<string, string> = {}): ContainerSample {
  return { name: `container_${name}`, help, labels, value: Number(value) };
}

/** The numbers of a shim's answer; none where it is of another kind. */
export function containerSamples(stats: Any): ContainerSample[] {
  switch (stats.typeUrl.slice(stats.typeUrl.lastIndexOf("/") + 1)) {
    case "io.containerd.cgroups.v1.Metrics":
      return [...samples1(Metrics1.decode(stats.value))];
    case "io.containerd.cgroups.v2.Metrics":
      return [...samples2(Metrics2.decode(stats.value))];
    default:
      return [];
  }
}

/** Fields whose help says that the amount is used. */
const usedAmounts = new Set(["cache", "rss", "rss_huge", "mapped_file"].flatMap((name) => [name, `total_${name}`]));

function* pidsSamples(pids: { readonly current: bigint; readonly limit: bigint } | undefined) {
  if (pids === undefined) return;
  yield sample("pids_current", "The current number of pids", pids.current);
  yield sample("pids_limit", "The limit to the number of pids allowed", pids.limit);
}

function* samples1({ pids, cpu, memory, hugetlb, blkio, memoryOomControl }: Metrics1): Generator<ContainerSample> {
  yield* pidsSamples(pids);
  if (cpu?.usage !== undefined) {
    const { total, kernel, user, perCpu } = cpu.usage;
    yield sample("cpu_total_nanoseconds", "The total cpu time", total);
    yield sample("cpu_kernel_nanoseconds", "The total kernel cpu time", kernel);
    yield sample("cpu_user_nanoseconds", "The total user cpu time", user);
    for (const [index, value] of perCpu.entries()) {
      yield sample("per_cpu_nanoseconds", "The total cpu time per cpu", value, { cpu: String(index) });
    }
  }
  if (cpu?.throttling !== undefined) {
    const { periods, throttledPeriods, throttledTime } = cpu.throttling;
    yield sample("cpu_throttle_periods_total", "The total cpu throttle periods", periods);
    yield sample("cpu_throttled_periods_total", "The total cpu throttled periods", throttledPeriods);
    yield sample("cpu_throttled_time_nanoseconds", "The total cpu throttled time", throttledTime);
  }
  if (memory !== undefined) yield* memorySamples1(memory);
  // Stock counts them itself, and has no number before the first one.
  if (memoryOomControl !== undefined && memoryOomControl.oomKill > 0n) {
    yield sample(
      "memory_oom_total",
      "The number of times a container has received an oom event",
      memoryOomControl.oomKill,
    );
  }
  for (const { usage, max, failcnt, pagesize: page } of hugetlb) {
    yield sample("hugetlb_usage_bytes", "The hugetlb usage", usage, { page });
    yield sample("hugetlb_max_bytes", "The hugetlb maximum usage", max, { page });
    yield sample("hugetlb_failcnt_total", "The hugetlb failcnt", failcnt, { page });
  }
  for (const [name, field] of blkioFields) {
    for (const { op, device, major, minor, value } of blkio?.[field] ?? []) {
      const labels = { op, device, major: String(major), minor: String(minor) };
      yield sample(`blkio_${name}`, `The blkio ${snake(field).replaceAll("_", " ")}`, value, labels);
    }
  }
}

const blkioFields = [
  ["io_merged_recursive_total", "ioMergedRecursive"],
  ["io_queued_recursive_total", "ioQueuedRecursive"],
  ["io_service_bytes_recursive_bytes", "ioServiceBytesRecursive"],
  ["io_service_time_recursive_total", "ioServiceTimeRecursive"],
  ["io_serviced_recursive_total", "ioServicedRecursive"],
  ["io_time_recursive_total", "ioTimeRecursive"],
  ["sectors_recursive_total", "sectorsRecursive"],
] as const;

function* memorySamples1(memory: NonNullable<Metrics1["memory"]>): Generator<ContainerSample> {
  for (const [field, value] of Object.entries(memory)) {
    const name = snake(field);
    if (typeof value === "bigint") {
      const help = `The ${name} amount${usedAmounts.has(name) ? " used" : ""}`;
      yield sample(`memory_${name}_bytes`, help, value);
    } else if (value !== undefined) {
      const { failcnt, limit, max, usage } = value;
      const what = name === "usage" ? "memory" : name;
      const at = `memory_${name.replaceAll("_", "")}`;
      yield sample(`${at}_failcnt_total`, `The ${name.replaceAll("_", "")} failcnt`, failcnt);
      yield sample(`${at}_limit_bytes`, `The ${what.replaceAll("_", "")} limit`, limit);
      yield sample(`${at}_max_bytes`, `The ${what.replaceAll("_", "")} maximum usage`, max);
      yield sample(`${at}_usage_bytes`, `The ${what.replaceAll("_", "")} usage`, usage);
    }
  }
}

/** Fields of version 2 that containerd does not offer. */
const withheld2 = new Set(["maxUsage", "swapMaxUsage"]);

function* samples2({ pids, cpu, memory, memoryEvents, io }: Metrics2): Generator<ContainerSample> {
  yield* pidsSamples(pids);
  if (cpu !== undefined) {
    yield sample("cpu_usage_usec_microseconds", "Total cpu usage (cgroup v2)", cpu.usageUsec);
    yield sample("cpu_user_usec_microseconds", "Current cpu usage in user space (cgroup v2)", cpu.userUsec);
    yield sample("cpu_system_usec_microseconds", "Current cpu usage in kernel space (cgroup v2)", cpu.systemUsec);
    yield sample(
      "cpu_nr_periods_total",
      "Current cpu number of periods (only if controller is enabled)",
      cpu.nrPeriods,
    );
    yield sample("cpu_nr_throttled_total", "Total number of times tasks have been throttled", cpu.nrThrottled);
    yield sample(
      "cpu_throttled_usec_microseconds",
      "Total time duration for which tasks have been throttled",
      cpu.throttledUsec,
    );
  }
  for (const [field, value] of Object.entries(memory ?? {})) {
    if (typeof value !== "bigint" || withheld2.has(field)) continue;
    yield sample(`memory_${snake(field)}_bytes`, `The ${snake(field)} amount`, value);
  }
  if (memoryEvents !== undefined) {
    yield sample("memory_oom_total", "The number of times a container has received an oom event", memoryEvents.oom);
  }
  for (const { major, minor, rbytes, wbytes, rios, wios } of io?.usage ?? []) {
    const labels = { major: String(major), minor: String(minor) };
    yield sample("io_rbytes_bytes", "IO bytes read", rbytes, labels);
    yield sample("io_wbytes_bytes", "IO bytes written", wbytes, labels);
    yield sample("io_rios_total", "Number of read IOs", rios, labels);
    yield sample("io_wios_total", "Number of write IOs", wios, labels);
  }
}
