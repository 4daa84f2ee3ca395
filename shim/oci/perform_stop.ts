/**
 * What the runtime does while a new process waits for it.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { type ConstantName, flags } from "../../ffi/constants.ts";
import { isErrno } from "../../ffi/errno.ts";
import { call } from "../../ffi/syscall.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import type { PlannedUnit } from "./cgroup/systemd/unit.ts";
import type { ContainerState } from "./container_state.ts";
import { copyTree } from "./copy_tree.ts";
import { writeIdMaps } from "./id_maps.ts";
import type { Launched } from "./launch.ts";
import { joinsUserNamespace } from "./plan/join.ts";
import { limitValue } from "./plan/finish.ts";
import type { HomeStop } from "./plan/home.ts";
import type { Stop } from "./plan/stops.ts";

/** A container whose first process waits. */
export interface Stopped {
  spec: Spec;
  state: ContainerState;
  launched: Launched;
  cgroup: Cgroup;
  /** The unit to start, for the stop that is for it. */
  unit: PlannedUnit | undefined;
  /** See `CreateOptions`. */
  rootless?: boolean | undefined;
}

/** Does it. Throws {@link Failure} with what did not succeed; the process is to be killed then. */
export async function performStop(stop: Exclude<Stop, HomeStop>, stopped: Stopped): Promise<void> {
  const { spec, state, launched, cgroup, unit } = stopped;
  const { child } = launched;
  if (stop.kind === "unit") {
    // Who plans this stop has planned a unit.
    await unit!.start(child.pid);
    cgroup.createInUnit();
    cgroup.apply(unit!.resources, spec.linux?.devices, stopped.rootless);
    return;
  }
  if (stop.kind === "listener") {
    const { tellListener } = await import("./tell_listener.ts");
    tellListener(stop, { spec, state, launched, status: "creating" });
    return;
  }
  if (stop.kind === "id maps") {
    // One that was joined has its maps.
    if (!joinsUserNamespace(spec)) {
      await writeIdMaps(child.pid, spec.linux?.uidMappings ?? [], spec.linux?.gidMappings ?? []);
    }
    raiseLimits(spec, child.pid);
    return;
  }
  for (const { from, to, does } of stop.copies) {
    try {
      // By the descriptors of the waiting process: no path of the image is followed.
      await copyTree(...[from, to].map((slot) => `/proc/${child.pid}/fd/${child.resultIn(slot)}`) as [string, string]);
    } catch (cause) {
      throw new Failure("Aborted", `${does}: cannot copy what it covers: ${cause}`, { cause });
    }
  }
  const devices = spec.linux?.netDevices ?? {};
  if (Object.keys(devices).length > 0) {
    const { moveNetDevices } = await import("./net_devices.ts");
    moveNetDevices(devices, child.pid);
  }
  if (spec.hooks === undefined) return;
  const { runCreateContainerHooks, runRuntimeHooks } = await import("./hooks/run_hooks.ts");
  await runRuntimeHooks("prestart", { spec, state });
  await runRuntimeHooks("createRuntime", { spec, state });
  await runCreateContainerHooks({ spec, state });
}

/**
 * Raises limits from outside: in a user namespace nobody may. Lower ones the process sets itself, when it has opened all
 * that its mounts need.
 */
function raiseLimits({ process }: Spec, pid: number): void {
  for (const { type, soft, hard } of process?.rlimits ?? []) {
    // The names were validated, and the table has all of them.
    const resource = flags(type as ConstantName);
    const limits = new BigUint64Array(2);
    call("prlimit64", pid, resource, 0, limits);
    const wanted = [limitValue(soft), limitValue(hard)].map((value, index) => {
      const now = limits[index]!;
      return value > now ? value : now;
    });
    if (wanted.every((value, index) => value === limits[index])) continue;
    try {
      call("prlimit64", pid, resource, new BigUint64Array(wanted), 0);
    } catch (error) {
      if (!isErrno(error, "EPERM")) throw error;
      throw new Failure("PermissionDenied", `error setting rlimit ${type}: operation not permitted`, { cause: error });
    }
  }
}
