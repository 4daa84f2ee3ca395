/**
 * Where the cgroups of a unit are.
 *
 * @module
 */
import type { CgroupDirectory } from "../directory.ts";
import type { Hierarchy } from "../hierarchies.ts";
import { belowRoot } from "../paths.ts";
import { slicePath, type UnitName } from "./unit_name.ts";

/** The cgroup that the service manager has itself in; units are beside it. */
const ownScope = /(^|\/)init\.scope$/;

/**
 * The unit's directory in each hierarchy. `hierarchies` are as the service manager's process sees them; where another than
 * the first process is that, `own` is its cgroup. Throws `InvalidArgument` for a slice's name that is none.
 */
export function unitDirectories(hierarchies: readonly Hierarchy[], unit: UnitName, own?: string): CgroupDirectory[] {
  const slice = slicePath(unit.slice);
  return hierarchies.map((hierarchy) => {
    const { version, name, controllers, mountpoint } = hierarchy;
    const manager = belowRoot(own === undefined ? hierarchy : { ...hierarchy, ownPath: own }).replace(ownScope, "");
    const path = `${mountpoint}${manager === "" ? "" : `/${manager}`}${slice}/${unit.name}`;
    return { version, name, controllers: [...controllers], mountpoint, path, made: false };
  });
}
