/**
 * Mounts of a container that come from outside: criu neither saves nor makes them, but is told where they come from.
 *
 * @module
 */
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { defaultDevices } from "../plan/devices.ts";
import type { CgroupPlace } from "../plan/facts.ts";
import { cleanPath } from "../plan/paths.ts";

/** A mount of the container by its mount point, and at the restoration its source by what it was called at the dump. */
export interface ExternalMount {
  readonly key: string;
  readonly value: string;
}

/** What has to be known besides the spec. */
export interface MountFacts {
  readonly bundle: string;
  readonly cgroups: readonly CgroupPlace[];
  /** Where a destination ends up behind the links of the container's root. */
  readonly resolve: (path: string) => string;
}

/** What all files are hidden behind. */
const nullDevice = "/dev/null";

/** Mount point and source of what the host gives, whether it is mounted or not. */
function outside(spec: Spec, { bundle, cgroups, resolve }: MountFacts): ExternalMount[] {
  const pure = cgroups.some(({ version, name }) => version === 2 && name === "");
  const mounts = (spec.mounts ?? []).flatMap(({ destination, type, source = "", options = [] }): ExternalMount[] => {
    const key = resolve(destination);
    if (options.some((option) => option === "bind" || option === "rbind")) {
      return [{ key, value: source.startsWith("/") ? source : `${bundle}/${source}` }];
    }
    // Of version 2 the file system itself is mounted, which criu knows.
    if (type !== "cgroup" || pure) return [];
    return cgroups.map(({ name, path }) => ({ key: `${key}/${name}`, value: path }));
  });
  // Nodes are bound where none may be made; where they are nodes, nothing is mounted there.
  const paths = [...defaultDevices, ...spec.linux?.devices ?? []].map(({ path }) => cleanPath(path));
  return [...mounts, ...paths.map((path) => ({ key: path, value: path }))];
}

/** Those of a dump. `isFile` tells of the container's masked paths which are hidden as files. */
export function dumpedMounts(spec: Spec, facts: MountFacts, isFile: (path: string) => boolean): ExternalMount[] {
  const masked = [...new Set((spec.linux?.maskedPaths ?? []).map(facts.resolve))].filter(isFile);
  return [
    ...outside(spec, facts).map(({ key }) => ({ key, value: key })),
    ...masked.map((key) => ({ key, value: nullDevice })),
  ];
}

/** Those of a restoration, by the names that {@link dumpedMounts} has given them. */
export function restoredMounts(spec: Spec, facts: MountFacts): ExternalMount[] {
  const mounts = outside(spec, facts);
  const hides = (spec.linux?.maskedPaths ?? []).length > 0 && !mounts.some(({ key }) => key === nullDevice);
  return hides ? [...mounts, { key: nullDevice, value: nullDevice }] : mounts;
}
