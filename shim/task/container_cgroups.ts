/**
 * Where the cgroups of a container are, as the kernel says of its init.
 *
 * @module
 */
import { type Hierarchy, readHierarchies } from "../oci/cgroup/hierarchies.ts";

/** Directories of a container's cgroups. */
export interface ContainerCgroups {
  /** Whether limits and measurements are those of version 2. */
  readonly version: 1 | 2;
  /** The directory that a controller is in; with version 2 the same for all. */
  readonly directory: (controller: string) => string | undefined;
}

/** The cgroups that a process is in; undefined where it is gone. */
export function cgroupsOf(pid: number): ContainerCgroups | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(`/proc/${pid}/cgroup`);
  } catch {
    return undefined;
  }
  // Lines are ID:CONTROLLERS:PATH; version 2 has no controllers (cgroups(7)).
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, ...path] = line.split(":");
    if (controllers === undefined) continue;
    for (const controller of controllers.split(",")) paths.set(controller, path.join(":"));
  }
  const hierarchies = readHierarchies();
  const pure = hierarchies.find(({ version, name }) => version === 2 && name === "");
  if (pure !== undefined) {
    const path = paths.get("");
    return path === undefined ? undefined : { version: 2, directory: () => place(pure, path) };
  }
  return {
    version: 1,
    directory: (controller) => {
      const hierarchy = hierarchies.find(({ controllers }) => controllers.includes(controller));
      const path = paths.get(controller);
      return hierarchy === undefined || path === undefined ? undefined : place(hierarchy, path);
    },
  };
}

/** What the mount shows of the hierarchy begins at its root. */
function place({ mountpoint, root }: Hierarchy, path: string): string {
  const shown = root !== "/" && path.startsWith(`${root}/`) ? path.slice(root.length) : path;
  return shown === "/" ? mountpoint : `${mountpoint}${shown}`;
}
