/**
 * Maps of users and groups.
 *
 * @module
 */
import type { IdMapping, Mount } from "../../../api/oci/runtime_spec.ts";

/** How a mount or a user namespace maps ids. */
export interface IdMaps {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}

/** Whether the mount has maps of its own. */
export function hasMappings({ uidMappings, gidMappings }: Mount): boolean {
  return [uidMappings, gidMappings].some((mappings) => (mappings?.length ?? 0) > 0);
}

/** Whether ids are mapped in a mount of a spec: by maps of its own, or by those of the container's user namespace. */
export function isIdMapped(mount: Mount): boolean {
  return hasMappings(mount) || ["idmap", "ridmap"].some((option) => mount.options?.includes(option));
}
