import assert from "node:assert/strict";
import { hugetlbStats, statsV1 } from "./stats_v1.ts";
import { statsV2 } from "./stats_v2.ts";

Deno.test("statsV1() gives what the files say, without zeros", () => {
  const files: Record<string, string> = {
    "cpuacct.usage": "7818651",
    "cpuacct.usage_percpu": "3199498 4619153 ",
    "cpuacct.usage_all": "cpu user system\n0 0 4000000\n1 4000000 4000000",
    "cpuacct.stat": "user 2\nsystem 3",
    "cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 0",
    "cpuset.cpus": "0-1,4",
    "cpuset.mems": "0",
    "cpuset.sched_relax_domain_level": "-1",
    "memory.limit_in_bytes": "9223372036854771712",
    "memory.usage_in_bytes": "716800",
    "memory.failcnt": "0",
    "memory.stat": "cache 0\nrss 53248",
    "pids.current": "1",
    "pids.max": "max",
    "blkio.throttle.io_serviced_recursive": "8:0 Read 5\n8:0 Write 0\nTotal 5",
    "hugetlb.2MB.failcnt": "0",
    "hugetlb.2MB.usage_in_bytes": "0",
  };
  const read = (_controller: string, file: string) => files[file];
  const stats = statsV1(read);
  assert.deepEqual(stats.cpu, {
    usage: {
      total: 7818651,
      percpu: [3199498, 4619153],
      percpu_kernel: [4000000, 4000000],
      percpu_user: [0, 4000000],
      kernel: 30_000_000,
      user: 20_000_000,
    },
    throttling: {},
  });
  assert.deepEqual([stats.cpuset["cpus"], stats.cpuset["sched_relax_domain_level"]], [[0, 1, 4], -1]);
  assert.deepEqual(stats.memory, {
    usage: { limit: 9223372036854771712, usage: 716800, failcnt: 0 },
    raw: { cache: 0, rss: 53248 },
  });
  assert.deepEqual(stats.pids, { current: 1 });
  assert.deepEqual(stats.blkio, {
    ioServicedRecursive: [{ major: 8, op: "Read", value: 5 }, { major: 8, op: "Write" }],
  });
  assert.deepEqual(hugetlbStats(["2MB", "1GB"], read), { "2MB": { failcnt: 0 } });
});

Deno.test("statsV2() speaks in terms of version 1", () => {
  const files: Record<string, string> = {
    "cpu.stat": "usage_usec 30\nuser_usec 10\nsystem_usec 20\nnr_periods 2\nnr_throttled 1\nthrottled_usec 5",
    "memory.max": "1000",
    "memory.current": "500",
    "memory.peak": "600",
    "memory.events": "low 0\nmax 3",
    "memory.swap.max": "max",
    "memory.swap.current": "7",
    "memory.stat": "anon 1\nfile 2",
    "pids.max": "17",
    "io.stat": "8:16 rbytes=1 wbytes=2 rios=3 wios=0",
  };
  const stats = statsV2((file) => files[file]);
  assert.deepEqual(stats.cpu, {
    usage: { total: 30_000, kernel: 20_000, user: 10_000 },
    throttling: { periods: 2, throttledPeriods: 1, throttledTime: 5000 },
  });
  assert.deepEqual(stats.memory, {
    cache: 2,
    usage: { limit: 1000, usage: 500, max: 600, failcnt: 3 },
    swap: { limit: 2 ** 63, usage: 507, failcnt: 0 },
    raw: { anon: 1, file: 2 },
  });
  assert.deepEqual(stats.pids, { limit: 17 });
  assert.deepEqual(stats.blkio["ioServiceBytesRecursive"], [
    { major: 8, minor: 16, op: "Read", value: 1 },
    { major: 8, minor: 16, op: "Write", value: 2 },
  ]);
});
