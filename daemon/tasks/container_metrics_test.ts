import assert from "node:assert/strict";
import { Metrics as Metrics1 } from "../../api/gen/cgroups/v1/metrics.ts";
import { Metrics as Metrics2 } from "../../api/gen/cgroups/v2/metrics.ts";
import { containerSamples } from "./container_metrics.ts";

const texts = (stats: { typeUrl: string; value: Uint8Array }) =>
  containerSamples(stats).map(({ name, labels, value }) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}=${text}`).join(",");
    return `${name}${pairs === "" ? "" : `{${pairs}}`} ${value}`;
  });

Deno.test("containerSamples() names the numbers of cgroup v1 as containerd does", () => {
  const value = Metrics1.encode(Metrics1.fromPartial({
    pids: { current: 3n, limit: 9n },
    cpu: { usage: { total: 7n, perCpu: [1n, 2n] } },
    memory: { pgPgIn: 5n, totalPgMajFault: 6n, hierarchicalSwapLimit: 8n, kernelTcp: { max: 4n } },
    hugetlb: [{ pagesize: "2MB", usage: 1n }],
    blkio: { ioServiceBytesRecursive: [{ op: "Read", device: "/dev/sda", major: 8n, minor: 0n, value: 512n }] },
  })).finish();
  const found = texts({ typeUrl: "io.containerd.cgroups.v1.Metrics", value });
  for (
    const expected of [
      "container_pids_current 3",
      "container_cpu_total_nanoseconds 7",
      "container_per_cpu_nanoseconds{cpu=1} 2",
      "container_memory_pgpgin_bytes 5",
      "container_memory_total_pgmajfault_bytes 6",
      "container_memory_hierarchical_memsw_limit_bytes 8",
      "container_memory_kerneltcp_max_bytes 4",
      "container_hugetlb_usage_bytes{page=2MB} 1",
      "container_blkio_io_service_bytes_recursive_bytes{op=Read,device=/dev/sda,major=8,minor=0} 512",
    ]
  ) assert(found.includes(expected), `${expected} is not in ${found.join("\n")}`);
});

Deno.test("containerSamples() names the numbers of cgroup v2 as containerd does", () => {
  const value = Metrics2.encode(Metrics2.fromPartial({
    pids: { current: 1n, limit: 2n },
    cpu: { usageUsec: 5n, nrThrottled: 6n },
    memory: { anon: 7n, workingsetNodereclaim: 8n, swapMaxUsage: 9n },
    memoryEvents: { oom: 1n },
    io: { usage: [{ major: 8n, minor: 1n, rbytes: 3n, wios: 4n }] },
  })).finish();
  const found = texts({ typeUrl: "types.containerd.io/io.containerd.cgroups.v2.Metrics", value });
  for (
    const expected of [
      "container_cpu_usage_usec_microseconds 5",
      "container_cpu_nr_throttled_total 6",
      "container_memory_anon_bytes 7",
      "container_memory_workingset_nodereclaim_bytes 8",
      "container_memory_oom_total 1",
      "container_io_rbytes_bytes{major=8,minor=1} 3",
      "container_io_wios_total{major=8,minor=1} 4",
    ]
  ) assert(found.includes(expected), `${expected} is not in ${found.join("\n")}`);
  assert(!found.some((text) => text.includes("swap_max_usage")));
});

Deno.test("containerSamples() has none of what it does not know", () => {
  assert.deepEqual(containerSamples({ typeUrl: "some.Metrics", value: new Uint8Array(3) }), []);
});
