/**
 * What the host has of resctrl, the kernel's file system of cache and bandwidth classes (Intel RDT).
 *
 * @module
 */
import { isThere } from "../../../ffi/is_there.ts";
import { unescapeMountField } from "../../../ffi/mount_table.ts";

/** A mounted resctrl, and what it can do. */
export interface Resctrl {
  /** Absolute. */
  mountpoint: string;
  /** Whether caches can be divided (CAT), with or without one half for code and one for data. */
  hasCaches: boolean;
  /** Whether the bandwidth of the memory can be divided (MBA). */
  hasBandwidth: boolean;
  /** Whether what a group uses is measured (CMT, MBM). */
  hasMonitoring: boolean;
}

/** Where resctrl is mounted; undefined where it is not. `mountinfo` is `/proc/self/mountinfo` (proc_pid_mountinfo(5)). */
export function findResctrl(mountinfo: string): string | undefined {
  for (const line of mountinfo.split("\n")) {
    const [mount = "", fileSystem = ""] = line.split(" - ");
    const mountpoint = mount.split(" ")[4];
    if (fileSystem.startsWith("resctrl ") && mountpoint !== undefined) return unescapeMountField(mountpoint);
  }
  return undefined;
}

/** What the resctrl at this mount point can do: the kernel has a directory of facts for each resource. */
export function inspectResctrl(mountpoint: string): Resctrl {
  const has = (name: string): boolean => isThere(`${mountpoint}/info/${name}`);
  return {
    mountpoint,
    hasCaches: has("L3") || has("L3CODE"),
    hasBandwidth: has("MB"),
    hasMonitoring: has("L3_MON"),
  };
}

/** The host's resctrl; undefined where none is mounted. */
export function readResctrl(): Resctrl | undefined {
  const mountpoint = findResctrl(Deno.readTextFileSync("/proc/self/mountinfo"));
  return mountpoint === undefined ? undefined : inspectResctrl(mountpoint);
}
