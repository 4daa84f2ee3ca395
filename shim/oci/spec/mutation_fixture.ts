/**
 * Specs as strangers might write them: real ones with something wrong in them.
 *
 * @module
 */
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { defaultSpec, rootlessSpec } from "./default_spec.ts";

/** The seed that `BARGE_FUZZ_SEED` gives, else a new one. Tests print it in their names. */
export function fuzzSeed(): number {
  return Number(Deno.env.get("BARGE_FUZZ_SEED") ?? Date.now() % 2 ** 32) >>> 0;
}

/** Specs as runtimes' callers write them; together they have every property that barge reads. */
export function realSpecs(): Spec[] {
  const full = defaultSpec(1);
  const id = { containerID: 0, hostID: 1000, size: 10 };
  const hook = { path: "/bin/true", args: ["true", "x"], env: ["A=b"], timeout: 5 };
  Object.assign(full, {
    domainname: "example",
    annotations: { "org.example.one": "1", "org.systemd.property.CollectMode": "'inactive'" },
    hooks: {
      prestart: [hook],
      createRuntime: [hook],
      createContainer: [hook],
      startContainer: [hook],
      poststart: [hook],
      poststop: [hook, { path: "/bin/true" }],
    },
  });
  Object.assign(full.process!, {
    consoleSize: { height: 24, width: 80 },
    user: { uid: 7, gid: 8, umask: 18, additionalGids: [5, 6] },
    apparmorProfile: "profile",
    selinuxLabel: "label",
    oomScoreAdj: 100,
    scheduler: { policy: "SCHED_BATCH", nice: 3, priority: 0, flags: ["SCHED_FLAG_RESET_ON_FORK"], runtime: 1 },
    ioPriority: { class: "IOPRIO_CLASS_BE", priority: 4 },
    execCPUAffinity: { initial: "0-1", final: "0" },
  });
  full.mounts!.push(
    { destination: "/bound", type: "bind", source: "/host/dir", options: ["rbind", "ro", "rprivate", "nosuid"] },
    { destination: "/tmp/mem", type: "tmpfs", source: "tmpfs", options: ["size=64k", "mode=1777", "tmpcopyup"] },
    { destination: "/mapped", source: "/host/dir", options: ["bind", "idmap"], uidMappings: [id], gidMappings: [id] },
  );
  const device = { major: 8, minor: 0 };
  Object.assign(full.linux!, {
    cgroupsPath: "/a/b",
    rootfsPropagation: "rslave",
    mountLabel: "label",
    devices: [{ type: "c", path: "/dev/x", ...device, fileMode: 438, uid: 1, gid: 2 }, { type: "p", path: "/dev/p" }],
    sysctl: { "net.ipv4.ip_forward": "1", "kernel.msgmax": "9000" },
    personality: { domain: "LINUX32", flags: [] },
    memoryPolicy: { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] },
    netDevices: { eth0: { name: "inside" } },
    timeOffsets: { monotonic: { secs: 5, nanosecs: 6 } },
    intelRdt: { closID: "gold", schemata: ["L3:0=f"], l3CacheSchema: "L3:0=f", memBwSchema: "MB:0=20" },
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      defaultErrnoRet: 38,
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      syscalls: [
        { names: ["getcwd", "unknown"], action: "SCMP_ACT_ERRNO", errnoRet: 5 },
        {
          names: ["clone"],
          action: "SCMP_ACT_TRAP",
          args: [{ index: 0, value: 8, valueTwo: 8, op: "SCMP_CMP_MASKED_EQ" }],
        },
      ],
    },
    resources: {
      devices: [{ allow: false, access: "rwm" }, { allow: true, type: "c", major: 1, minor: 3, access: "rw" }],
      memory: { limit: 1 << 26, reservation: 1 << 25, swap: 1 << 27, swappiness: 10, disableOOMKiller: false },
      cpu: { shares: 512, quota: 20_000, burst: 10, period: 100_000, cpus: "0", mems: "0", idle: 0 },
      pids: { limit: 20 },
      blockIO: {
        weight: 100,
        weightDevice: [{ ...device, weight: 50 }],
        throttleReadBpsDevice: [{ ...device, rate: 1000 }],
      },
      hugepageLimits: [{ pageSize: "2MB", limit: 0 }],
      network: { classID: 5, priorities: [{ name: "lo", priority: 1 }] },
      rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 100 } },
      unified: { "memory.high": "1000000" },
    },
  });
  full.linux!.namespaces!.push({ type: "time" });
  const joining = defaultSpec(2);
  joining.linux!.namespaces = [
    { type: "mount" },
    { type: "user", path: "/proc/1/ns/user" },
    { type: "pid", path: "/proc/1/ns/pid" },
    { type: "network", path: "/proc/1/ns/net" },
    { type: "uts" },
  ];
  joining.process!.terminal = false;
  return [full, defaultSpec(1), defaultSpec(2), rootlessSpec({ uid: 1000, gid: 1000 }, 2), joining];
}

const strange: readonly unknown[] = [
  ...[null, true, false, -1, -2, 0, 1, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 64, -(2 ** 63), 1e300],
  ...["", "x", "/", "..", "../..", "/proc/self", "/proc/sys", "0-", "0-99999999", "a=b", "=", "rbind", "ro", "default"],
  ...["\u0000", "\ud800", "\u{1f600}", "constructor", "__proto__", "x".repeat(5000), '%s\n\r\t"\\', "SCMP_ACT_NOTIFY"],
  ...[[], {}, [[]], [null], { a: {} }, { path: null }, [{}], { length: -1 }],
];

/** Makes the same changes again for the same seed. */
export class Mutator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** The next random number below `max` (xorshift). */
  dice(max: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % max;
  }

  /** The value with some random parts replaced, removed, doubled, renamed, or taken from elsewhere in it. */
  mutate(value: unknown): unknown {
    const copy = structuredClone(value);
    for (let changes = 1 + this.dice(3); changes > 0; changes--) this.#change(copy);
    return copy;
  }

  #change(root: unknown): void {
    // Down to a random depth: every object on the way is as likely to be the one that changes.
    let at = root;
    for (;;) {
      if (typeof at !== "object" || at === null) return;
      const keys = Object.keys(at);
      const key = keys[this.dice(keys.length || 1)];
      const part = key === undefined ? undefined : (at as Record<string, unknown>)[key];
      if (typeof part !== "object" || part === null || this.dice(5) === 0) {
        this.#replace(at as Record<string, unknown>, key ?? "x", root);
        return;
      }
      at = part;
    }
  }

  #replace(holder: Record<string, unknown>, key: string, root: unknown): void {
    switch (this.dice(6)) {
      case 0:
        if (Array.isArray(holder)) holder.splice(Number(key), 1);
        else delete holder[key];
        return;
      case 1:
        if (Array.isArray(holder)) holder.push(structuredClone(holder[Number(key)] ?? null));
        else holder[["X", "toString", key.toUpperCase(), `${key}s`][this.dice(4)]!] = holder[key];
        return;
      case 2:
        holder[key] = structuredClone(this.#somewhere(root));
        return;
      default:
        holder[key] = structuredClone(strange[this.dice(strange.length)]);
    }
  }

  /** A random part of the value. */
  #somewhere(root: unknown): unknown {
    let at = root;
    for (let depth = 1 + this.dice(5); depth > 0 && typeof at === "object" && at !== null; depth--) {
      const parts: unknown[] = Object.values(at);
      if (parts.length > 0) at = parts[this.dice(parts.length)];
    }
    return at;
  }
}
