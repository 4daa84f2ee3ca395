/**
 * `linux.resources.unified`, files of a cgroup of version 2, as properties of a systemd unit.
 *
 * @module
 */
import { cpuQuota, cpuSet, since } from "./cpu_properties.ts";
import { amount, property, type UnitProperty } from "./property.ts";

type Convert = (text: string, systemd: number) => UnitProperty[];

/** A number or `max`; other forms, such as `1G`, are the kernel's to understand. */
const count = (name: string): Convert => (text) =>
  text === "max" ? [amount(name, -1)] : /^\d+$/.test(text) ? [amount(name, BigInt(text))] : [];

const converters: Readonly<Record<string, Convert>> = {
  "cpu.idle": (text, systemd) => text === "1" && systemd >= since.cpuIdle ? [amount("CPUWeight", 0)] : [],
  "cpu.max": (text, systemd) => {
    const match = /^(max|\d{1,12})(?:\s+(\d{1,12}))?$/.exec(text);
    if (match === null) return [];
    return cpuQuota(match[1] === "max" ? -1 : Number(match[1]), Number(match[2] ?? 0), systemd);
  },
  "cpu.weight": count("CPUWeight"),
  "cpuset.cpus": (text, systemd) => cpuSet("AllowedCPUs", text, systemd),
  "cpuset.mems": (text, systemd) => cpuSet("AllowedMemoryNodes", text, systemd),
  "memory.high": count("MemoryHigh"),
  "memory.low": count("MemoryLow"),
  "memory.max": count("MemoryMax"),
  "memory.min": count("MemoryMin"),
  "memory.oom.group": (text, systemd) =>
    systemd < since.oomPolicyOfScopes ? [] : [property("OOMPolicy", "s", text === "1" ? "kill" : "continue")],
  "memory.swap.max": count("MemorySwapMax"),
  "pids.max": count("TasksMax"),
};

/** The properties of those files that systemd has some for. Throws `InvalidArgument` for a list of processors that is none. */
export function unifiedProperties(unified: Readonly<Record<string, string>>, systemd: number): UnitProperty[] {
  return Object.entries(unified).flatMap(([file, text]) =>
    Object.hasOwn(converters, file) ? converters[file]!(text.trim(), systemd) : []
  );
}
