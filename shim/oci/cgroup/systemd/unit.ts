/**
 * The systemd unit that a container's cgroups belong to.
 *
 * @module
 */
import { Failure } from "../../../../api/errors.ts";
import type { Resources, Spec } from "../../../../api/oci/runtime_spec.ts";
import { readLaunch } from "../../../../ffi/launch.ts";
import { readControlIfThere } from "../control_file.ts";
import { devicePolicy } from "../device_rules.ts";
import type { CgroupDirectory } from "../directory.ts";
import { parseHierarchies } from "../hierarchies.ts";
import { annotationProperties } from "./annotation_properties.ts";
import { withRoundedQuota } from "./cpu_properties.ts";
import { deviceProperties } from "./device_properties.ts";
import { ServiceManager } from "./manager.ts";
import { type ManagerAddress, managerAddress, requireSystemd } from "./manager_address.ts";
import type { UnitProperty } from "./property.ts";
import { resourceProperties } from "./resource_properties.ts";
import { scopeProperties } from "./scope_properties.ts";
import { unitDirectories } from "./unit_directories.ts";
import { type UnitName, unitOf } from "./unit_name.ts";
import { isThere } from "../../../../ffi/is_there.ts";

/** What a container's state has of its unit; plain data. */
export interface UnitRecord extends UnitName {
  /** The version of the cgroup hierarchy that has the controllers. */
  version: 1 | 2;
}

/** A container's unit before it is started. */
export interface PlannedUnit {
  readonly record: UnitRecord;
  /** Where its cgroups will be. None of them is made yet. */
  readonly directories: CgroupDirectory[];
  /** The spec's limits as the cgroups' files are to have them. */
  readonly resources: Resources;
  /**
   * Starts the unit with this process in it, which systemd moves there, and with all of the spec's limits that systemd
   * knows. Throws {@link Failure} that says why systemd refuses, and `DeadlineExceeded`.
   */
  start(pid: number): Promise<void>;
}

/**
 * The unit that a spec asks for. Throws `InvalidArgument` for what names none, `FailedPrecondition` where systemd does not run.
 */
export async function planUnit(spec: Spec, id: string): Promise<PlannedUnit> {
  const address = addressOfManager();
  const name = unitOf(spec.linux?.cgroupsPath, id, address.user);
  const asked = annotationProperties(spec.annotations);
  requireSystemd();
  const hierarchies = parseHierarchies(
    Deno.readTextFileSync("/proc/self/mountinfo"),
    readControlIfThere("/proc/1/cgroup") ?? "",
  );
  const own = address.user ? await controlGroup(address) : undefined;
  const directories = unitDirectories(hierarchies, name, own);
  const version = directories.some((place) => place.version === 2 && place.name === "") ? 2 : 1;
  return {
    record: { ...name, version },
    directories,
    resources: withRoundedQuota(spec.linux?.resources ?? {}),
    start: async (pid) => {
      using manager = await ServiceManager.connect(address);
      const systemd = await manager.version();
      const properties = [
        ...scopeProperties({ unit: name, pid, version }),
        ...asked,
        ...limits(spec, version, systemd),
      ];
      try {
        await manager.startTransientUnit(name.name, properties);
      } catch (cause) {
        if (!(cause instanceof Failure)) throw cause;
        const what = `unable to apply cgroup configuration: unable to start unit "${name.name}"`;
        throw new Failure(cause.code, `${what}: ${cause.message}`, { cause });
      }
    },
  };
}

async function controlGroup(address: ManagerAddress): Promise<string> {
  using manager = await ServiceManager.connect(address);
  return await manager.controlGroup();
}

/** What the spec limits, devices included. */
function limits({ linux }: Spec, version: 1 | 2, systemd: number): UnitProperty[] {
  const resources = linux?.resources ?? {};
  const policy = devicePolicy(resources.devices ?? [], linux?.devices);
  const facts = { version, systemd, groups: readControlIfThere("/proc/devices") ?? "", exists: isThere };
  return [...deviceProperties(policy, facts), ...resourceProperties(resources, version, systemd)];
}

/**
 * Tells systemd of changed limits; gives them as the cgroups' files are to have them. Device rules are never touched.
 * Throws as systemd answers.
 */
export async function updateUnit({ name, version }: UnitRecord, resources: Resources): Promise<Resources> {
  using manager = await ServiceManager.connect(addressOfManager());
  const properties = resourceProperties(resources, version, await manager.version());
  if (properties.length > 0) await manager.setUnitProperties(name, properties);
  return withRoundedQuota(resources);
}

/** Stops the unit, and lets systemd remove its cgroups. Nothing where it is gone. Throws {@link Failure}. */
export async function stopUnit({ name }: UnitRecord): Promise<void> {
  using manager = await ServiceManager.connect(addressOfManager());
  await manager.stopUnit(name);
}

function addressOfManager(): ManagerAddress {
  return managerAddress({
    uid: Deno.uid() ?? 0,
    uidMap: readControlIfThere("/proc/self/uid_map") ?? "",
    environment: readLaunch().environment,
  });
}
