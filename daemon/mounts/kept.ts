/**
 * Which activations are kept alive, for garbage collection: mounts are nobody's reference, they only end with what they
 * are for.
 *
 * @module
 */
import { labelBackRefs } from "../metadata/label_refs.ts";
import type { Stores } from "../store.ts";
import type { Activation } from "./activation.ts";

const rows: Readonly<Record<string, string>> = {
  container: "SELECT 1 FROM containers WHERE namespace = ? AND id = ?",
  content: "SELECT 1 FROM blobs WHERE namespace = ? AND digest = ?",
  image: "SELECT 1 FROM images WHERE namespace = ? AND name = ?",
  lease: "SELECT 1 FROM leases WHERE namespace = ? AND id = ?",
  snapshot: "SELECT 1 FROM snapshots WHERE namespace = ? AND snapshotter || '/' || key = ?",
};

/**
 * The activations that something keeps as of now: their lease, or an object that a label `containerd.io/gc.bref.*` of
 * theirs names. To be asked when garbage has just been collected, so that what is there is alive.
 */
export async function keptActivations(activations: readonly Activation[], stores: Stores): Promise<Set<Activation>> {
  const { database } = stores;
  return await database.read(() => {
    const exists = (kind: string, namespace: string, key: string) => {
      const row = rows[kind];
      return row !== undefined && database.get(row, namespace, key) !== undefined;
    };
    return new Set(
      activations.filter(({ namespace, lease, labels }) =>
        (lease !== undefined && exists("lease", namespace, lease)) ||
        labelBackRefs(labels).some(({ kind, key }) => exists(kind, namespace, key))
      ),
    );
  });
}

/** Whether the namespace has such a lease. */
export async function leaseExists(stores: Stores, namespace: string, lease: string): Promise<boolean> {
  const { database } = stores;
  return await database.read(() => database.get(rows["lease"]!, namespace, lease) !== undefined);
}
