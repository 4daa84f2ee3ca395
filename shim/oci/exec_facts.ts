/**
 * Gathers what the plan of a further process in a container must know.
 *
 * @module
 */
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { hostArch } from "../../ffi/arch.ts";
import { Cgroup } from "./cgroup/cgroup.ts";
import type { ContainerState } from "./container_state.ts";
import { ignoredSignals, lastCapability } from "./gather_facts.ts";
import { isOrdinaryUser } from "./ordinary_user.ts";
import { mountNamespaceOf } from "./plan/mount_namespace.ts";
import type { Limit } from "./plan/facts.ts";
import type { ExecFacts } from "./plan/plan_exec.ts";
import { filterOf } from "./seccomp/filter_of.ts";

/** Reads what is not known. `spec` is the container's; `openFiles` the caller's own limit. No file of the container is. */
export async function gatherExecFacts(
  spec: Spec,
  state: ContainerState,
  openFiles: Limit | undefined,
): Promise<ExecFacts> {
  const filter = await filterOf(spec);
  return {
    arch: hostArch,
    id: state.id,
    ...(filter === undefined ? {} : { filter }),
    cgroups: Cgroup.fromRecord(state.cgroup).places,
    ...(state.resctrl === undefined ? {} : { resctrl: state.resctrl.joins }),
    ignoredSignals: ignoredSignals(),
    ...(openFiles === undefined ? {} : { openFiles }),
    lastCapability: lastCapability(),
    dieWithParent: false,
    ...(mountNamespaceOf(spec) === "host's" ? { root: `/proc/${state.pid}/root` } : {}),
    newKeyring: state.noNewKeyring !== true,
    ...(isOrdinaryUser() ? { isOrdinaryUser: true } : {}),
  };
}
