/**
 * What a container's cgroups have counted, in the form of runc's `events`.
 *
 * @module
 */
import { readControlIfThere } from "./control_file.ts";
import type { CgroupDirectory } from "./directory.ts";
import { hugetlbStats, statsV1 } from "./stats_v1.ts";
import { statsV2 } from "./stats_v2.ts";

/** Usage and limit of one kind of memory, in bytes. */
export interface MemoryEntry {
  limit: number;
  usage?: number;
  max?: number;
  failcnt: number;
}

/** One count of one block device. */
export interface BlockEntry {
  major?: number;
  minor?: number;
  op?: string;
  value?: number;
}

/** The data of one line of `events`; times are nanoseconds. What is zero and may be left out is left out. */
export interface Stats {
  cpu: {
    usage: {
      total?: number;
      percpu?: number[];
      percpu_kernel?: number[];
      percpu_user?: number[];
      kernel: number;
      user: number;
    };
    throttling: { periods?: number; throttledPeriods?: number; throttledTime?: number };
  };
  cpuset: Record<string, number | number[]>;
  memory: {
    cache?: number;
    usage?: MemoryEntry;
    swap?: MemoryEntry;
    kernel?: MemoryEntry;
    kernelTCP?: MemoryEntry;
    raw?: Record<string, number>;
  };
  pids: { current?: number; limit?: number };
  blkio: Record<string, BlockEntry[]>;
  hugetlb: Record<string, { usage?: number; max?: number; failcnt: number }>;
  intel_rdt: Record<string, never>;
  network_interfaces: null;
}

/** The file's text; undefined where there is no such file. */
export type ReadFile = (controller: string, file: string) => string | undefined;

/** Reads the statistics of cgroups. What the kernel does not count is left out. */
export function readStats(places: readonly CgroupDirectory[]): Stats {
  const pure = places.find(({ version, name }) => version === 2 && name === "");
  if (pure !== undefined) return statsV2((file) => readControlIfThere(`${pure.path}/${file}`));
  const read: ReadFile = (controller, file) => {
    const place = places.find(({ controllers }) => controllers.includes(controller));
    return place === undefined ? undefined : readControlIfThere(`${place.path}/${file}`);
  };
  return { ...statsV1(read), hugetlb: hugetlbStats(hugePageSizes(), read) };
}

/** Names of the kernel's huge page sizes as cgroup files have them: `2MB`, `1GB`. */
function hugePageSizes(): string[] {
  try {
    return [...Deno.readDirSync("/sys/kernel/mm/hugepages")].map(({ name }) => {
      const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
      if (kilobytes >= 1 << 20) return `${kilobytes >> 20}GB`;
      return kilobytes >= 1024 ? `${kilobytes >> 10}MB` : `${kilobytes}KB`;
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
