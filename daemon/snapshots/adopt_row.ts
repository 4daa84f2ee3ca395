/**
 * Rows for snapshots whose directories somebody else has made.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Labels } from "../metadata/label_refs.ts";
import type { SnapshotRow, SnapshotRows } from "./snapshot_rows.ts";

/** What is known of a snapshot elsewhere. Times are milliseconds since 1970. */
export interface ForeignSnapshot extends Omit<SnapshotRow, "id" | "size" | "inodes"> {
  /** Undefined for a view on a snapshot: it is that snapshot, and needs no directory. */
  readonly id: number | undefined;
  readonly labels: Labels;
}

/**
 * Adds a snapshot, or takes over what has changed of it since it was added so. Says false where ours was changed later,
 * and stays. In a transaction. Throws `NotFound` without its parent, `AlreadyExists` where its name or its directory is
 * by now that of a snapshot which was made here.
 */
export function adoptRow(rows: SnapshotRows, snapshot: ForeignSnapshot): boolean {
  const { objects, snapshotter } = rows;
  const { database, namespace } = objects;
  const { key, kind, parent, created, updated, labels } = snapshot;
  if (parent !== null) rows.committedParent(parent);
  clearDirectory(rows, snapshot);
  const known = clearName(rows, snapshot);
  if (known !== undefined && known.updated > updated) return false;
  const id = known?.id ?? snapshot.id ?? null;
  objects.enterNamespace();
  database.run(
    "INSERT INTO snapshots (id, namespace, snapshotter, key, kind, parent, created, updated) " +
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET " +
      "kind = excluded.kind, parent = excluded.parent, created = excluded.created, updated = excluded.updated",
    ...[id, namespace, snapshotter, key, kind, parent, created, updated],
  );
  const objectKey = rows.objectKey(key);
  objects.setLabels("snapshot", objectKey, labels);
  objects.unlink("snapshot", objectKey, "parent");
  if (parent !== null) objects.link("snapshot", objectKey, "snapshot", rows.objectKey(parent), "parent");
  return true;
}

/** The directory may have a row under another key: a commit over there has given it a new one. */
function clearDirectory(rows: SnapshotRows, { id, key, kind }: ForeignSnapshot): void {
  if (id === undefined) return;
  const sql = "SELECT namespace, key, kind FROM snapshots WHERE id = ?";
  const row = rows.objects.database.get<Pick<SnapshotRow, "key" | "kind"> & { namespace: string }>(sql, id);
  if (row === undefined || (row.key === key && row.namespace === rows.objects.namespace)) return;
  if (row.namespace !== rows.objects.namespace || row.kind !== "active" || kind !== "committed") {
    throw new Failure("AlreadyExists", `its directory is that of snapshot "${row.key}" here`);
  }
  forget(rows, id, row.key);
}

/** The row of that name, unless another snapshot had the name over there: that one is gone. */
function clearName(rows: SnapshotRows, { id, key, kind }: ForeignSnapshot): SnapshotRow | undefined {
  const row = rows.find(key);
  if (row === undefined || row.id === id) return row;
  // Those from over there have negative ids, unless they need no directory.
  if (row.id >= 0) {
    if (id === undefined && row.kind === kind) return row;
    throw new Failure("AlreadyExists", "there is another snapshot of this name here");
  }
  forget(rows, row.id, key);
  return undefined;
}

function forget(rows: SnapshotRows, id: number, key: string): void {
  rows.objects.database.run("DELETE FROM snapshots WHERE id = ?", id);
  rows.objects.forget("snapshot", rows.objectKey(key));
}
