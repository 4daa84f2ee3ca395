/**
 * The cgroup that a shim itself is accounted in (the runtime option ShimCgroup).
 *
 * @module
 */
import { makeDirectory, writeControl } from "../oci/cgroup/control_file.ts";
import { inheritCpuset } from "../oci/cgroup/directory.ts";
import { readHierarchies } from "../oci/cgroup/hierarchies.ts";
import { components } from "../oci/plan/paths.ts";

/** Moves the process, in every hierarchy; the cgroup is made where it is missing. Throws {@link SyscallError}. */
export function moveToCgroup(pid: number, path: string): void {
  for (const { mountpoint, controllers } of readHierarchies()) {
    let directory = mountpoint;
    for (const part of components(path)) {
      directory += `/${part}`;
      makeDirectory(directory);
    }
    // Without processors and memory of its own nothing may go into it.
    if (controllers.includes("cpuset")) inheritCpuset(directory, mountpoint);
    writeControl(`${directory}/cgroup.procs`, String(pid));
  }
}
