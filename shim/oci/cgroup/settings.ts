/**
 * What is to be written to a container's cgroups for `linux.resources` of the OCI runtime specification (config-linux,
 * "Control groups"); the device rules have their own module.
 *
 * In all properties a 0 means "not set" unless said otherwise (dockerd sends zeros for what was not asked for), and -1
 * means "unlimited".
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Resources } from "../../../api/oci/runtime_spec.ts";
import type { Errno } from "../../../ffi/errno.ts";
import { settingsV1 } from "./settings_v1.ts";
import { settingsV2 } from "./settings_v2.ts";

/** One write to one file of a cgroup. */
export interface Setting {
  /** What the file belongs to, such as `memory`; `cgroup` for the files that every cgroup of version 2 has. */
  controller: string;
  file: string;
  value: string;
  /** Name below `linux.resources`, for messages. */
  property: string;
  /** Errors that leave things as they are and are no failure; the reason stands where they are listed. */
  allow?: readonly Errno[];
  /**
   * One of a pair of values that the kernel checks against each other. Where it refuses this one with EINVAL, it is
   * written again after the next setting without this mark.
   */
  retry?: true;
  /** The kernel silently narrows this value to its bounds: what it reads afterwards must be what was written. */
  readBack?: true;
  /** To be written where `file` does not exist: another kernel's name for it. */
  orElse?: { file: string; value: string };
}

/**
 * The settings in the order in which they are to be written.
 *
 * `available` names the controllers of version `version` that this host has. Throws `InvalidArgument` for a value that
 * makes no sense, `FailedPrecondition` where a limit needs a controller that is not there.
 */
export function cgroupSettings(
  resources: Resources,
  version: 1 | 2,
  available: ReadonlySet<string>,
): Setting[] {
  const settings = version === 1 ? settingsV1(resources) : settingsV2(resources);
  return settings.filter((setting) => {
    if (setting.controller === "cgroup" || available.has(setting.controller)) return true;
    // Nothing is limited where there is nothing to limit with.
    if (setting.value === "-1" || setting.value === "max") return false;
    throw new Failure(
      "FailedPrecondition",
      `cannot set ${setting.property}: the cgroup controller "${setting.controller}" is not available` +
        `; want a kernel that has it enabled, and a parent cgroup that hands it down`,
    );
  });
}

/**
 * The properties that were given but have no effect on any kernel that barge runs on, or none on this version; a caller
 * should warn of them. runc ignores the same ones.
 */
export function settingsWithoutEffect(resources: Resources, version: 1 | 2): string[] {
  const { memory = {}, cpu = {}, network = {} } = resources;
  const given: [string, unknown][] = [
    ["memory.kernel", memory.kernel],
    ["memory.kernelTCP", memory.kernelTCP],
    // Every kernel since 5.11 counts hierarchically.
    ["memory.useHierarchy", memory.useHierarchy === false],
  ];
  if (version === 2) {
    given.push(
      ["memory.swappiness", memory.swappiness !== undefined && memory.swappiness !== -1],
      ["memory.disableOOMKiller", memory.disableOOMKiller],
      ["cpu.realtimeRuntime", cpu.realtimeRuntime],
      ["cpu.realtimePeriod", cpu.realtimePeriod],
      ["network.classID", network["classID"]],
      ["network.priorities", Array.isArray(network["priorities"]) && network["priorities"].length > 0],
    );
  }
  return given.filter(([, value]) => value).map(([name]) => name);
}
