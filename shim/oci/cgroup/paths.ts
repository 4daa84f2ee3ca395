/**
 * Where a container's cgroups are: `linux.cgroupsPath` of the OCI runtime specification, resolved in each hierarchy.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Hierarchy } from "./hierarchies.ts";

/**
 * The container's directory in each hierarchy, absolute on this host.
 *
 * An absolute `cgroupsPath` is counted from the mount point; a relative one from this process's own cgroup (pure
 * version 2: from the parent of that, since a cgroup with processes in it cannot hand controllers down); without one the
 * container's id is the relative path. Paths are cleaned as text, so `..` never leads outside.
 *
 * Throws `InvalidArgument` for a path that names no directory of the container's own, and for systemd's
 * `slice:prefix:name`: who means a unit is not to get a directory of that name.
 */
export function cgroupDirectories(
  hierarchies: readonly Hierarchy[],
  cgroupsPath: string | undefined,
  id: string,
): { hierarchy: Hierarchy; path: string }[] {
  const given = cgroupsPath || id;
  if (!given.includes("/") && given.split(":").length === 3) {
    throw new Failure(
      "InvalidArgument",
      `cannot use cgroupsPath "${given}": it is in systemd's form; want --systemd-cgroup, or a path such as "/barge/${id}"`,
    );
  }
  const inner = clean(given);
  if (inner === "" || given.includes("\0") || given.includes("\n")) {
    throw new Failure(
      "InvalidArgument",
      `cgroupsPath ${JSON.stringify(given)} names no cgroup of the container's own; want a path such as "/barge/${id}"`,
    );
  }
  return hierarchies.map((hierarchy) => ({
    hierarchy,
    path: `${given.startsWith("/") ? hierarchy.mountpoint : startOfRelative(hierarchy)}/${inner}`,
  }));
}

function startOfRelative(hierarchy: Hierarchy): string {
  const own = belowRoot(hierarchy);
  const pure = hierarchy.version === 2 && hierarchy.name === "";
  const start = pure ? own.split("/").slice(0, -1).join("/") : own;
  return start === "" ? hierarchy.mountpoint : `${hierarchy.mountpoint}/${start}`;
}

/**
 * The own cgroup counted from the mount point. `/proc/self/cgroup` counts from the hierarchy's top (or from the cgroup
 * namespace's), which the mount need not show; what lies outside of the mount is taken as its top.
 */
export function belowRoot({ root, ownPath }: Hierarchy): string {
  if (root === "/") return clean(ownPath);
  if (ownPath === root) return "";
  return ownPath.startsWith(`${root}/`) ? clean(ownPath.slice(root.length)) : "";
}

/** Without empty components, `.` and `..`, as if the path began at a root. */
function clean(path: string): string {
  const components: string[] = [];
  for (const component of path.split("/")) {
    if (component === "..") components.pop();
    else if (component !== "" && component !== ".") components.push(component);
  }
  return components.join("/");
}
