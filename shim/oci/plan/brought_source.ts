/**
 * Bind sources that only the container's own mounts bring: paths below its root file system, as the host names them.
 *
 * @module
 */
import type { Mount } from "../../../api/oci/runtime_spec.ts";
import type { Facts, RootSource } from "./facts.ts";
import { cleanPath } from "./paths.ts";

/** The directory of the host at which the container's process has its root while it mounts. */
function rootPlace(root: RootSource): string {
  return cleanPath(root.kind === "directory" ? root.path : root.mountpoint);
}

/**
 * The path in the root of a source that is to be looked for when its turn has come: it lies below the root, and is not
 * there yet, or one of the mounts before it (by their places in the root) covers it. Undefined for all others.
 */
export function broughtSource(
  source: string,
  root: RootSource,
  earlier: readonly string[],
  isSeen: boolean,
): string | undefined {
  const place = rootPlace(root), path = cleanPath(source);
  if (!path.startsWith(`${place}/`)) return undefined;
  const inside = path.slice(place.length);
  const isCovered = earlier.some((target) => inside === target || inside.startsWith(`${target}/`));
  return root.kind === "overlay" || !isSeen || isCovered ? inside : undefined;
}

/** Where a mount goes in the root, links resolved as far as is known. */
export function mountTarget({ destination }: Mount, { destinations }: Pick<Facts, "destinations">): string {
  return destinations.get(destination) ?? cleanPath(destination);
}
