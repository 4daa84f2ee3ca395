/**
 * `plan [BUNDLE]`: what a start of the bundle would do, step by step.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { hostArch } from "../../ffi/arch.ts";
import { describeProgram } from "../../ffi/program/describe.ts";
import { formatProgram } from "../../ffi/program/format.ts";
import { Cgroup } from "../../shim/oci/cgroup/cgroup.ts";
import { readHierarchies } from "../../shim/oci/cgroup/hierarchies.ts";
import { coveredModes } from "../../shim/oci/covered_modes.ts";
import { bindSources, kernelFiles, lastCapability } from "../../shim/oci/gather_facts.ts";
import { idMappedKeys } from "../../shim/oci/id_mapped_mounts.ts";
import { linkedDestinations } from "../../shim/oci/linked_destinations.ts";
import { ownedByJoinedUser } from "../../shim/oci/namespace_owners.ts";
import { plan } from "../../shim/oci/plan/plan.ts";
import { planGroup } from "../../shim/oci/resctrl/group.ts";
import { readResctrl } from "../../shim/oci/resctrl/host.ts";
import { filterOf } from "../../shim/oci/seccomp/filter_of.ts";
import { parseFlags } from "../flags.ts";
import { bundleOf, loadBundle } from "./bundle.ts";
import { planFlags } from "./flags.ts";

/**
 * The steps of the new process as text, or with `--json` as one object: `arch`, `bundle`, `descriptors` (number → what it
 * is), `stops` (what the process waits for, in order) and `steps`, each as `StepDescription` has it. Needs no root, and
 * changes nothing.
 */
export async function showPlan(args: string[], { systemdCgroup }: { systemdCgroup: boolean }): Promise<string> {
  const { flags, args: [given, ...more] } = parseFlags(planFlags, args, { singleDashLong: true });
  if (more.length > 0) throw new Failure("InvalidArgument", "plan takes one bundle");
  const bundle = bundleOf(given ?? flags.bundle);
  const { spec, root } = loadBundle(bundle);
  const id = "ID";
  const rdt = spec.linux?.intelRdt;
  const cgroups = systemdCgroup
    ? (await (await import("../../shim/oci/cgroup/systemd/unit.ts")).planUnit(spec, id)).directories
    : Cgroup.at(readHierarchies(), spec.linux?.cgroupsPath, id).places;
  const filter = await filterOf(spec);
  const destinations = linkedDestinations(spec, root);
  const { program, placements, stops } = plan(spec, {
    arch: hostArch,
    ...(filter === undefined ? {} : { filter }),
    id,
    bundle,
    root,
    sources: bindSources(spec, bundle),
    destinations,
    coveredModes: coveredModes(spec, root, destinations),
    kernelFiles: kernelFiles(spec),
    idMapped: idMappedKeys(spec, bundle),
    ownedByJoined: ownedByJoinedUser(spec),
    canMakeNodes: true,
    cgroups,
    ...(rdt === undefined ? {} : { resctrl: planGroup(rdt, id, readResctrl()).record.joins }),
    inUnit: systemdCgroup,
    ignoredSignals: [],
    lastCapability: lastCapability(),
    start: "fifo",
    dieWithParent: false,
    newKeyring: true,
  });
  const names = new Map(placements.map(({ from, to }) => [to, from]));
  if (!flags.json) return formatProgram(program, names);
  const shown = {
    arch: hostArch,
    bundle,
    descriptors: Object.fromEntries(names),
    stops: stops.map(({ kind }) => kind),
    steps: describeProgram(program, names),
  };
  return JSON.stringify(shown, null, 2) + "\n";
}
