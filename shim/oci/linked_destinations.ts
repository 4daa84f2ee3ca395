/**
 * Destinations of mounts behind links of the root file system.
 *
 * @module
 */
import type { Mount, Spec } from "../../api/oci/runtime_spec.ts";
import { openLayerLinks } from "./layer_links.ts";
import type { RootSource } from "./plan/facts.ts";
import { cleanPath } from "./plan/paths.ts";
import { type LinkReader, linksBelow, resolveLinks } from "./resolve_in_root.ts";

/**
 * The destinations that lead through links, with where they end: what a link that leads nowhere names can be made there.
 * What earlier mounts of the spec cover is not looked at, as the image's links are not seen there.
 */
export function linkedDestinations({ mounts = [] }: Spec, root: RootSource): Map<string, string> {
  if (root.kind === "directory") return resolveAll(mounts, linksBelow(root.path), () => false);
  using layers = openLayerLinks(root);
  return resolveAll(mounts, layers.linkAt, layers.isPlain);
}

/** `isPlain` may know at once that a path has no link. */
function resolveAll(
  mounts: readonly Mount[],
  linkAt: LinkReader,
  isPlain: (path: string) => boolean,
): Map<string, string> {
  const linked = new Map<string, string>();
  const covered: string[] = [];
  const isCovered = (path: string): boolean =>
    covered.some((target) => path === target || path.startsWith(`${target}/`));
  const seenLink: LinkReader = (path) => isCovered(path) ? undefined : linkAt(path);
  for (const { destination, type } of mounts) {
    const path = cleanPath(destination);
    const end = type === "proc" || type === "sysfs"
      ? resolveParent(path, seenLink)
      : !isCovered(path) && isPlain(path)
      ? path
      : resolveLinks(path, seenLink);
    if (end !== path) linked.set(destination, end);
    covered.push(end);
  }
  return linked;
}

/** The kernel's own files go on a directory that is no link itself. */
function resolveParent(path: string, linkAt: LinkReader): string {
  const slash = path.lastIndexOf("/");
  const parent = resolveLinks(path.slice(0, slash), linkAt);
  return `${parent === "/" ? "" : parent}${path.slice(slash)}`;
}
