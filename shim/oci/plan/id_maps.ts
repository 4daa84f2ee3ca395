/**
 * Maps of users and groups.
 *
 * @module
 */
import type { IdMapping } from "../../../api/oci/runtime_spec.ts";

/** How a mount or a user namespace maps ids. */
export interface IdMaps {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}
