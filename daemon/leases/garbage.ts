/**
 * Garbage: what nothing refers to any more.
 *
 * @module
 */
import { type Digest, parseDigest } from "../../api/digest.ts";
import type { Database } from "../metadata/database.ts";
import type { StoreParts } from "./abandoned.ts";

/** What one collection removed. */
export interface Collected {
  readonly blobs: readonly Digest[];
  /** As `snapshotter/key`. */
  readonly snapshots: readonly string[];
}

/**
 * Everything that lives: the roots (images, containers, leases that have not expired, and content and snapshots with a label
 * `containerd.io/gc.root…`), and what they refer to, directly or not.
 */
const liveObjects = `
  WITH RECURSIVE live(kind, key) AS (
    SELECT 'image', name FROM images WHERE namespace = ?1
    UNION SELECT 'container', id FROM containers WHERE namespace = ?1
    UNION SELECT 'lease', id FROM leases WHERE namespace = ?1 AND (expires IS NULL OR expires > ?2)
    UNION SELECT kind, key FROM labels
      WHERE namespace = ?1 AND label LIKE 'containerd.io/gc.root%' AND kind IN ('content', 'snapshot')
    UNION SELECT refs.to_kind, refs.to_key FROM refs
      JOIN live ON refs.namespace = ?1 AND refs.from_kind = live.kind AND refs.from_key = live.key
  )`;

/**
 * Removes the blobs and snapshots of the namespace that nothing refers to, and expired leases, in one transaction: what
 * another process puts under a lease before it stays, and what it looks for after it is not there.
 */
export async function collectGarbage(store: StoreParts): Promise<Collected> {
  const { database, namespace } = store.leases.objects;
  const cleaning: (() => Promise<void>)[] = [];
  const collected = await database.transaction((undo) => {
    const now = Date.now();
    const expired = "SELECT id FROM leases WHERE namespace = ? AND expires <= ?";
    for (const { id } of database.all<{ id: string }>(expired, namespace, now)) store.leases.deleteInside(id);
    const blobs = deadKeys(database, "SELECT digest AS key FROM blobs WHERE namespace = ?1", "content", namespace, now)
      .map(parseDigest);
    for (const digest of blobs) cleaning.push(store.content.deleteInside(digest, undo));
    const dead = deadKeys(
      database,
      "SELECT snapshotter || '/' || key AS key FROM snapshots WHERE namespace = ?1",
      "snapshot",
      namespace,
      now,
    );
    const snapshots = leavesFirst(database, namespace, dead);
    for (const objectKey of snapshots) {
      const slash = objectKey.indexOf("/");
      const snapshotter = store.snapshotters.get(objectKey.slice(0, slash));
      if (snapshotter !== undefined) cleaning.push(snapshotter.removeInside(objectKey.slice(slash + 1), undo));
    }
    return { blobs, snapshots };
  });
  for (const clean of cleaning) await clean();
  return collected;
}

function deadKeys(database: Database, all: string, kind: string, namespace: string, now: number): string[] {
  const sql = `${liveObjects} SELECT key FROM (${all}) WHERE key NOT IN (SELECT key FROM live WHERE kind = ?3)`;
  return database.all<{ key: string }>(sql, namespace, now, kind).map(({ key }) => key);
}

/** The keys in an order in which each can be removed: a dead snapshot's children are dead too, and go first. */
function leavesFirst(database: Database, namespace: string, dead: readonly string[]): string[] {
  const sql = "SELECT snapshotter || '/' || key AS key, snapshotter || '/' || parent AS parent FROM snapshots " +
    "WHERE namespace = ?";
  const parents = new Map(
    database.all<{ key: string; parent: string | null }>(sql, namespace).map(({ key, parent }) => [key, parent]),
  );
  const depth = (key: string): number => {
    let steps = 0;
    for (let parent = parents.get(key) ?? null; parent !== null; parent = parents.get(parent) ?? null) steps++;
    return steps;
  };
  return [...dead].sort((a, b) => depth(b) - depth(a));
}
