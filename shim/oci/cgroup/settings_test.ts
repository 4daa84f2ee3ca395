import { deepEqual, equal, throws } from "node:assert/strict";
import { isFailure } from "../../../api/errors.ts";
import type { Resources } from "../../../api/oci/runtime_spec.ts";
import { cgroupSettings, type Setting, settingsWithoutEffect } from "./settings.ts";
import { cpuWeight } from "./settings_v2.ts";

const all = new Set(
  "cpuset memory cpu pids blkio io hugetlb net_cls net_prio rdma".split(" "),
);

/** One line per setting: file, value, then its marks. */
function lines(resources: Resources, version: 1 | 2, available: ReadonlySet<string> = all): string[] {
  return cgroupSettings(resources, version, available).map((setting: Setting) =>
    [
      `${setting.file}=${setting.value}`,
      setting.retry && "retry",
      setting.readBack && "readBack",
      setting.allow && `allow ${setting.allow.join()}`,
      setting.orElse && `else ${setting.orElse.file}=${setting.orElse.value}`,
    ].filter((word) => word).join(" ")
  );
}

function refused(resources: Resources, version: 1 | 2, message: RegExp): void {
  throws(
    () => lines(resources, version),
    (error) => isFailure(error, "InvalidArgument") && message.test(error.message),
  );
}

const full: Resources = {
  memory: { limit: 104857600, reservation: 52428800, swap: 209715200, swappiness: 10, disableOOMKiller: true },
  cpu: { shares: 512, quota: 50000, period: 200000, burst: 1000, cpus: "0-1", mems: "0", idle: 0 },
  pids: { limit: 42 },
  blockIO: {
    weight: 500,
    weightDevice: [{ major: 8, minor: 0, weight: 300 }],
    throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1048576 }],
    throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 100 }],
  },
  hugepageLimits: [{ pageSize: "2MB", limit: 4194304 }],
  rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 } },
};

Deno.test("cgroupSettings() of version 1 gives everything in runc's order", () => {
  const network = { classID: 1048577, priorities: [{ name: "lo", priority: 500 }] };
  deepEqual(lines({ ...full, network }, 1), [
    "cpuset.cpus=0-1 else cpus=0-1",
    "cpuset.mems=0 else mems=0",
    "memory.limit_in_bytes=104857600 retry",
    "memory.memsw.limit_in_bytes=209715200",
    "memory.soft_limit_in_bytes=52428800",
    "memory.oom_control=1",
    "memory.swappiness=10",
    "cpu.idle=0",
    "cpu.shares=512 readBack",
    "cpu.cfs_burst_us=1000 retry allow ENOENT",
    "cpu.cfs_period_us=200000 retry",
    "cpu.cfs_quota_us=50000",
    "pids.max=42",
    "blkio.weight=500 else blkio.bfq.weight=500",
    "blkio.weight_device=8:0 300 else blkio.bfq.weight_device=8:0 300",
    "blkio.throttle.read_bps_device=8:0 1048576",
    "blkio.throttle.write_iops_device=8:16 100",
    "hugetlb.2MB.limit_in_bytes=4194304",
    "hugetlb.2MB.rsvd.limit_in_bytes=4194304 allow ENOENT",
    "net_cls.classid=1048577",
    "net_prio.ifpriomap=lo 500",
    "rdma.max=mlx5_1 hca_handle=3 hca_object=10000",
  ]);
});

Deno.test("cgroupSettings() of version 2 gives everything in runc's order", () => {
  const unified = { "memory.high": "max", "io.latency": "8:0 target=1\n8:16 target=2\n" };
  deepEqual(lines({ ...full, unified }, 2), [
    "pids.max=42",
    "memory.swap.max=104857600",
    "memory.max=104857600",
    "memory.low=52428800",
    "io.bfq.weight=500 else io.weight=4950",
    "io.bfq.weight=8:0 300 else io.weight=8:0 2930",
    "io.max=8:0 rbps=1048576",
    "io.max=8:16 wiops=100",
    "cpu.idle=0",
    "cpu.weight=59",
    "cpu.max.burst=1000 retry allow ENOENT",
    "cpu.max=50000 200000",
    "cpuset.cpus=0-1",
    "cpuset.mems=0",
    "hugetlb.2MB.max=4194304",
    "hugetlb.2MB.rsvd.max=4194304 allow ENOENT",
    "rdma.max=mlx5_1 hca_handle=3 hca_object=10000",
    "memory.high=max",
    "io.latency=8:0 target=1",
    "io.latency=8:16 target=2",
  ]);
});

Deno.test("cgroupSettings() takes zeros and empty lists as not set", () => {
  const zeros: Resources = {
    memory: { limit: 0, reservation: 0, swap: 0, kernel: 0, swappiness: -1, disableOOMKiller: false },
    cpu: { shares: 0, quota: 0, period: 0, realtimeRuntime: 0, realtimePeriod: 0, cpus: "", mems: "" },
    blockIO: { weight: 0, weightDevice: [], throttleReadBpsDevice: [] },
    network: { classID: 0, priorities: [] },
    hugepageLimits: [],
    rdma: {},
    unified: {},
  };
  deepEqual(lines(zeros, 1, new Set()), []);
  deepEqual(lines(zeros, 2, new Set()), []);
  deepEqual(lines({}, 1, new Set()), []);
});

Deno.test("cgroupSettings() takes pids.limit 0 as the smallest limit and -1 as none", () => {
  for (const version of [1, 2] as const) {
    deepEqual(lines({ pids: { limit: 0 } }, version), ["pids.max=1"]);
    deepEqual(lines({ pids: { limit: -1 } }, version), ["pids.max=max"]);
    deepEqual(lines({ pids: {} }, version), []);
  }
});

Deno.test("cgroupSettings() of version 1 orders memory and swap so that the kernel takes both", () => {
  deepEqual(lines({ memory: { limit: -1 } }, 1), [
    "memory.memsw.limit_in_bytes=-1 allow ENOENT",
    "memory.limit_in_bytes=-1",
  ]);
  deepEqual(lines({ memory: { limit: 4096, swap: -1 } }, 1), [
    "memory.memsw.limit_in_bytes=-1",
    "memory.limit_in_bytes=4096",
  ]);
  deepEqual(lines({ memory: { swap: 8192 } }, 1), ["memory.memsw.limit_in_bytes=8192"]);
});

Deno.test("cgroupSettings() of version 2 subtracts memory from swap", () => {
  const swap = (limit: number, both: number) => lines({ memory: { limit, swap: both } }, 2);
  deepEqual(swap(-1, 0), ["memory.swap.max=max allow ENOENT", "memory.max=max"]);
  deepEqual(swap(4096, -1), ["memory.swap.max=max allow ENOENT", "memory.max=4096"]);
  deepEqual(swap(4096, 4096), ["memory.swap.max=0 allow ENOENT", "memory.max=4096"]);
  deepEqual(swap(4096, 8192), ["memory.swap.max=4096", "memory.max=4096"]);
  deepEqual(swap(-1, 8192), ["memory.swap.max=8192", "memory.max=max"]);
  deepEqual(swap(4096, 0), ["memory.max=4096"]);
  refused({ memory: { swap: 8192 } }, 2, /set memory\.limit too/);
});

Deno.test("cgroupSettings() refuses values that make no sense", () => {
  refused({ memory: { limit: 8192, swap: 4096 } }, 1, /at least memory\.limit \(8192\)/);
  refused({ memory: { limit: 8192, swap: 4096 } }, 2, /at least memory\.limit \(8192\)/);
  refused({ memory: { limit: -2 } }, 2, /memory\.limit -2: want -1/);
  refused({ memory: { limit: 1.5 } }, 1, /memory\.limit 1\.5: want a whole number/);
  refused({ memory: { swappiness: 101 } }, 1, /want 0 to 100/);
  refused({ unified: { "memory.high": "1" } }, 1, /cgroup version 1/);
  refused({ unified: { "../memory.high": "1" } }, 2, /no file of a cgroup/);
  refused({ unified: { memory: "1" } }, 2, /no file of a cgroup/);
  refused({ blockIO: { leafWeight: 5 } }, 2, /no leaf weights/);
  refused({ blockIO: { speed: 5 } }, 1, /blockIO\.speed/);
  refused({ blockIO: { throttleReadBpsDevice: [{ major: 8, minor: "0", rate: 1 }] } }, 1, /minor "0"/);
  refused({ network: { priorities: [{ name: "a b", priority: 1 }] } }, 1, /interface's name/);
});

Deno.test("cgroupSettings() names the controller that a limit needs and the host lacks", () => {
  throws(
    () => lines({ pids: { limit: 5 } }, 1, new Set(["memory"])),
    (error) => isFailure(error, "FailedPrecondition") && /pids\.limit.*"pids" is not available/.test(error.message),
  );
  deepEqual(lines({ pids: { limit: -1 } }, 1, new Set(["memory"])), []);
  deepEqual(lines({ unified: { "cgroup.max.depth": "3" } }, 2, new Set()), ["cgroup.max.depth=3"]);
});

Deno.test("cgroupSettings() makes a cgroup idle after its weight was set", () => {
  deepEqual(lines({ cpu: { idle: 1, shares: 1024 } }, 2), ["cpu.weight=100", "cpu.idle=1"]);
  deepEqual(lines({ cpu: { idle: 1, shares: 1024 } }, 1), ["cpu.shares=1024 readBack", "cpu.idle=1"]);
});

Deno.test("cgroupSettings() of version 2 completes half a bandwidth", () => {
  deepEqual(lines({ cpu: { quota: 5000 } }, 2), ["cpu.max=5000 100000"]);
  deepEqual(lines({ cpu: { period: 5000 } }, 2), ["cpu.max=max 5000"]);
  deepEqual(lines({ cpu: { quota: -1 } }, 2), ["cpu.max=max 100000"]);
});

Deno.test("cgroupSettings() writes numbers without exponent", () => {
  deepEqual(lines({ memory: { limit: 9223372036854771712 } }, 1), ["memory.limit_in_bytes=9223372036854771712"]);
  deepEqual(
    lines({ blockIO: { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1e21 }] } }, 2),
    ["io.max=8:0 rbps=1000000000000000000000"],
  );
});

Deno.test("cpuWeight() keeps both ends and the default where they are", () => {
  const expected = { 1: 1, 2: 1, 3: 2, 512: 59, 1024: 100, 2048: 174, 262143: 10000, 262144: 10000, 999999: 10000 };
  for (const [shares, weight] of Object.entries(expected)) equal(cpuWeight(Number(shares)), weight, shares);
});

Deno.test("settingsWithoutEffect() names what a kernel cannot do any more, or not in version 2", () => {
  const resources: Resources = { memory: { kernel: 1, kernelTCP: 0, swappiness: 5 }, cpu: { realtimeRuntime: 7 } };
  deepEqual(settingsWithoutEffect(resources, 1), ["memory.kernel"]);
  deepEqual(settingsWithoutEffect(resources, 2), ["memory.kernel", "memory.swappiness", "cpu.realtimeRuntime"]);
  deepEqual(settingsWithoutEffect({}, 2), []);
});
