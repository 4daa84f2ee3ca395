/**
 * Limits in the files of cgroups of version 1, and `update`, `pause` and `resume`.
 *
 * @module
 */
import type { Resources } from "../../../api/oci/runtime_spec.ts";
import { alive, type Case, type Expected, refused } from "../case.ts";

const rules = [{ allow: false, access: "rwm" }];

/** Resources, and what the files hold then. */
const limited = (name: string, resources: Resources, cgroup: Record<string, Expected>): Case =>
  alive(name, [{ cgroup }], {
    needs: "cgroup v1",
    change: (spec) => spec.linux.resources = { devices: rules, ...resources },
  });

/** A call of `update`, and what the files hold then. */
const updated = (name: string, words: readonly string[], cgroup: Record<string, Expected>, stdin?: string): Case =>
  alive(name, [
    { call: ["update", ...words, "ID"], out: "", ...(stdin === undefined ? {} : { stdin }) },
    { cgroup },
    { call: ["exec", "ID", "true"] },
  ], {
    needs: "cgroup v1",
    change: (spec) =>
      spec.linux.resources = {
        devices: rules,
        cpu: { quota: 40_000, period: 80_000, shares: 256 },
        memory: { limit: 64 << 20 },
        pids: { limit: 30 },
      },
  });

/** Cases of `linux.resources`, `linux.cgroupsPath` and of the commands that change them. */
export const cgroupCases: readonly Case[] = [
  limited("a limit of memory", { memory: { limit: 64 << 20 } }, { "memory/memory.limit_in_bytes": "67108864" }),
  limited("a limit of memory and swap", { memory: { limit: 64 << 20, swap: 128 << 20 } }, {
    "memory/memory.memsw.limit_in_bytes": "134217728",
  }),
  limited("a reservation of memory", { memory: { reservation: 32 << 20 } }, {
    "memory/memory.soft_limit_in_bytes": "33554432",
  }),
  limited("swappiness", { memory: { swappiness: 42 } }, { "memory/memory.swappiness": "42" }),
  limited("no killer when memory runs out", { memory: { limit: 64 << 20, disableOOMKiller: true } }, {
    "memory/memory.oom_control": /oom_kill_disable 1/,
  }),
  limited("no limit of memory", { memory: { limit: -1 } }, {
    "memory/memory.limit_in_bytes": /^9223372036854771712\n$/,
  }),
  limited("shares of the CPU", { cpu: { shares: 512 } }, { "cpu/cpu.shares": "512" }),
  limited("quota and period of the CPU", { cpu: { quota: 50_000, period: 100_000 } }, {
    "cpu/cpu.cfs_quota_us": "50000",
    "cpu/cpu.cfs_period_us": "100000",
  }),
  limited("a quota alone", { cpu: { quota: 25_000 } }, { "cpu/cpu.cfs_quota_us": "25000" }),
  limited("a period alone", { cpu: { period: 50_000 } }, { "cpu/cpu.cfs_period_us": "50000" }),
  limited("no quota", { cpu: { quota: -1 } }, { "cpu/cpu.cfs_quota_us": "-1" }),
  limited("CPUs and memory nodes", { cpu: { cpus: "0", mems: "0" } }, {
    "cpuset/cpuset.cpus": "0",
    "cpuset/cpuset.mems": "0",
  }),
  limited("a limit of processes", { pids: { limit: 17 } }, { "pids/pids.max": "17" }),
  limited("no limit of processes", { pids: { limit: -1 } }, { "pids/pids.max": "max" }),
  limited("limits of a disk's bytes", { blockIO: { throttleReadBpsDevice: [{ major: 7, minor: 0, rate: 1048576 }] } }, {
    "blkio/blkio.throttle.read_bps_device": "7:0 1048576",
  }),
  limited("limits of a disk's calls", { blockIO: { throttleWriteIOPSDevice: [{ major: 7, minor: 0, rate: 100 }] } }, {
    "blkio/blkio.throttle.write_iops_device": "7:0 100",
  }),
  limited("rules of devices", {
    devices: [...rules, { allow: true, type: "c", major: 10, minor: 229, access: "rw" }, {
      allow: true,
      type: "b",
      major: 8,
      access: "r",
    }],
  }, {
    "devices/devices.list": (text) => {
      const lines = new Set(text.trim().split("\n"));
      const wanted = ["c 10:229 rw", "b 8:* rm", "c 1:3 rwm", "c 136:* rwm", "c *:* m"];
      // Kernels join the right to make any node with the rule.
      const missing = wanted.filter((line) => !lines.has(line) && !lines.has(line.replace("rm", "r")));
      if (missing.length > 0) throw new Error(`${missing.join(", ")}: ${text}`);
    },
  }),
  limited("zeros change nothing", {
    memory: { limit: 0, swap: 0, reservation: 0 },
    cpu: { shares: 0, quota: 0, period: 0 },
    blockIO: { weight: 0 },
  }, {
    "cpu/cpu.shares": "1024",
    "cpu/cpu.cfs_quota_us": "-1",
    "memory/memory.limit_in_bytes": /^9223372036854771712\n$/,
  }),
  alive("the process is in every hierarchy", [{
    host: ({ id }) => {
      for (const name of ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"]) {
        const pids = Deno.readTextFileSync(`/sys/fs/cgroup/${name}/${id}/cgroup.procs`).trim().split("\n");
        if (pids.length !== 1) throw new Error(`${name}: ${pids}`);
      }
    },
  }], { needs: "cgroup v1" }),
  alive("an absolute path is below the hierarchy's root", [
    { host: ({ id }) => void Deno.statSync(`/sys/fs/cgroup/pids/${id}/deep/er/cgroup.procs`) },
    { call: ["delete", "--force", "ID"] },
    { host: removeParents },
  ], { needs: "cgroup v1", change: (spec, { id }) => spec.linux.cgroupsPath = `/${id}/deep/er` }),
  alive("a path with .. does not leave the hierarchy", [
    { host: ({ id }) => void Deno.statSync(`/sys/fs/cgroup/pids/${id}/cgroup.procs`) },
  ], { needs: "cgroup v1", change: (spec, { id }) => spec.linux.cgroupsPath = `/../../../${id}` }),
  alive("without a path the id is the name", [
    {
      host: ({ id }) => {
        const own = /^\d+:pids:(.*)$/m.exec(Deno.readTextFileSync("/proc/self/cgroup"))?.[1] ?? "";
        Deno.statSync(`/sys/fs/cgroup/pids${own === "/" ? "" : own}/${id}/cgroup.procs`);
      },
    },
  ], { needs: "cgroup v1", change: (spec) => delete spec.linux.cgroupsPath }),
  refused(
    "a CPU that does not exist is refused",
    (spec) => spec.linux.resources = { cpu: { cpus: "4000" } },
    /cpus|invalid|numerical/i,
  ),
  refused(
    "a list of CPUs that is none is refused",
    (spec) => spec.linux.resources = { cpu: { cpus: "a-b" } },
    /cpus|invalid/i,
  ),
  refused(
    "an absurd quota is refused",
    (spec) => spec.linux.resources = { cpu: { quota: 5, period: 100_000 } },
    /quota|invalid/i,
  ),
  refused("swap below the limit of memory is refused", (spec) => {
    spec.linux.resources = { memory: { limit: 128 << 20, swap: 64 << 20 } };
  }, /swap|memory/i),
  refused(
    "a page size that does not exist is refused",
    (spec) => {
      spec.linux.resources = { hugepageLimits: [{ pageSize: "3MB", limit: 1 }] };
    },
    /hugetlb|3MB/i,
    { except: { runc: "runc says nothing where no hugetlb hierarchy is mounted" } },
  ),
  updated("update --memory", ["--memory", "33554432"], { "memory/memory.limit_in_bytes": "33554432" }),
  updated("update --memory with a suffix", ["--memory", "48M"], { "memory/memory.limit_in_bytes": "50331648" }),
  updated("update --memory -1", ["--memory", "-1"], { "memory/memory.limit_in_bytes": /^9223372036854771712\n$/ }),
  updated("update --memory-reservation", ["--memory-reservation", "16M"], {
    "memory/memory.soft_limit_in_bytes": "16777216",
  }),
  updated("update --memory-swap", ["--memory", "64M", "--memory-swap", "96M"], {
    "memory/memory.memsw.limit_in_bytes": "100663296",
  }),
  updated("update --cpu-share", ["--cpu-share", "333"], { "cpu/cpu.shares": "333" }),
  updated("update --cpu-quota keeps the period", ["--cpu-quota", "20000"], {
    "cpu/cpu.cfs_quota_us": "20000",
    "cpu/cpu.cfs_period_us": "80000",
  }),
  updated("update --cpu-period keeps the quota", ["--cpu-period", "100000"], {
    "cpu/cpu.cfs_quota_us": "40000",
    "cpu/cpu.cfs_period_us": "100000",
  }),
  updated("update --cpuset-cpus", ["--cpuset-cpus", "0"], { "cpuset/cpuset.cpus": "0" }),
  updated("update --cpuset-mems", ["--cpuset-mems", "0"], { "cpuset/cpuset.mems": "0" }),
  updated("update --pids-limit", ["--pids-limit", "12"], { "pids/pids.max": "12" }),
  updated("update --pids-limit -1", ["--pids-limit", "-1"], { "pids/pids.max": "max" }),
  updated(
    "update from standard input",
    ["--resources", "-"],
    { "pids/pids.max": "8", "cpu/cpu.shares": "777" },
    '{"pids":{"limit":8},"cpu":{"shares":777}}',
  ),
  updated("update with zeros changes nothing", ["--resources", "-"], {
    "memory/memory.limit_in_bytes": "67108864",
    "cpu/cpu.shares": "256",
    "cpu/cpu.cfs_quota_us": "40000",
  }, '{"memory":{"limit":0,"swap":0},"cpu":{"shares":0,"quota":0,"period":0},"blockIO":{"weight":0}}'),
  alive("update takes a file", [
    { host: ({ directory }) => Deno.writeTextFileSync(`${directory}/limits`, '{"pids":{"limit":9}}') },
    { call: ["update", "-r", "DIR/limits", "ID"] },
    { cgroup: { "pids/pids.max": "9" } },
  ], { needs: "cgroup v1" }),
  alive("update refuses what is no JSON", [{
    call: ["update", "-r", "-", "ID"],
    stdin: "{",
    code: 1,
    err: /JSON|unexpected/i,
  }]),
  alive("update refuses a file that does not exist", [{
    call: ["update", "-r", "/no/such", "ID"],
    code: 1,
    err: /no such file/i,
  }]),
  alive("update refuses a size that is none", [{ call: ["update", "--memory", "much", "ID"], code: 1, err: /much/ }]),
];

function removeParents({ id }: { id: string }): void {
  for (const { name } of Deno.readDirSync("/sys/fs/cgroup")) {
    for (const path of ["/deep", ""]) {
      try {
        Deno.removeSync(`/sys/fs/cgroup/${name}/${id}${path}`);
      } catch {
        // Not every hierarchy had it, and some names are links to others.
      }
    }
  }
}
