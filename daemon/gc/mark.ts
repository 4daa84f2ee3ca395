/**
 * What lives and what does not: one recursive query over the references.
 *
 * Roots are leases and images that have not expired, containers, sandboxes, unfinished writes that may still be resumed,
 * and content and snapshots with a label `containerd.io/gc.root…`. Everything that a living object refers to lives as well. What a
 * lease with the label `containerd.io/gc.flat` holds lives with its parents and its target, but its labels keep nothing.
 *
 * @module
 */
import { conditionalRefs } from "./conditions.ts";
import type { DeadObject, ObjectName, Reader } from "./reader.ts";

const expireLabel = "containerd.io/gc.expire";

/** What a mark found. */
export interface Marks {
  /** Children before the snapshots that they stand on; otherwise in no order. */
  readonly dead: readonly DeadObject[];
  /** What only flat leases keep: their labels keep nothing. */
  readonly flat: readonly ObjectName[];
  /** When the next lease, image or unfinished write expires, in milliseconds since 1970. */
  readonly nextExpiry?: number;
}

const liveObjects = `
  WITH RECURSIVE
  expired(namespace, kind, key) AS (
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2)
  ),
  conditional(namespace, kind, key, target) AS (
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?3)
  ),
  live(namespace, kind, key, flat) AS (
    SELECT namespace, 'image', name, 0 FROM images
      WHERE (namespace, 'image', name) NOT IN (SELECT namespace, kind, key FROM expired)
    UNION SELECT namespace, 'container', id, 0 FROM containers
    UNION SELECT namespace, 'sandbox', id, 0 FROM sandboxes
    UNION SELECT namespace, 'lease', id, EXISTS (
        SELECT 1 FROM labels WHERE labels.namespace = leases.namespace AND labels.kind = 'lease'
          AND labels.key = leases.id AND label = 'containerd.io/gc.flat'
      ) FROM leases WHERE (expires IS NULL OR expires > ?1)
      AND (namespace, 'lease', id) NOT IN (SELECT namespace, kind, key FROM expired)
    UNION SELECT namespace, 'ingest', ref, 0 FROM ingests WHERE expires > ?1
    UNION SELECT namespace, kind, key, 0 FROM labels
      WHERE label GLOB 'containerd.io/gc.root*' AND kind IN ('content', 'snapshot')
    UNION SELECT refs.namespace, to_kind, to_key, flat FROM live JOIN refs
      ON refs.namespace = live.namespace AND from_kind = live.kind AND from_key = live.key
      WHERE flat = 0 OR refs.name NOT GLOB 'containerd.io/*'
    UNION SELECT conditional.namespace, 'snapshot', target, 0 FROM live JOIN conditional
      ON conditional.namespace = live.namespace AND conditional.kind = live.kind AND conditional.key = live.key
      WHERE flat = 0
  )`;

const deadQuery = `${liveObjects}
  SELECT namespace, 'lease' AS kind, id AS key FROM leases
  UNION ALL SELECT namespace, 'image', name FROM images
  UNION ALL SELECT namespace, 'content', digest FROM blobs
  UNION ALL SELECT namespace, 'snapshot', snapshotter || '/' || key FROM snapshots
  UNION ALL SELECT namespace, 'ingest', ref FROM ingests
  EXCEPT SELECT namespace, kind, key FROM live`;

const flatQuery = `${liveObjects} SELECT namespace, kind, key FROM live GROUP BY 1, 2, 3 HAVING min(flat) = 1`;

interface ExpiryRow {
  namespace: string;
  kind: string;
  key: string;
  value: string;
}

/** Finds what nothing keeps at the time `now` (milliseconds since 1970). To be called in one read of the database. */
export function findDead(reader: Reader, now: number): Marks {
  const { expired, next } = expiries(reader, now);
  const conditional = conditionalRefs(reader, now)
    .map(({ namespace, kind, key, target }) => [namespace, kind, key, target]);
  const values = [now, JSON.stringify(expired), JSON.stringify(conditional)] as const;
  const dead = inOrder(reader, reader.all<DeadObject>(deadQuery, ...values));
  const [flatLease] = reader.all(
    "SELECT 1 AS found FROM leases JOIN labels ON labels.namespace = leases.namespace AND kind = 'lease' " +
      "AND labels.key = leases.id AND label = 'containerd.io/gc.flat' LIMIT 1",
  );
  const flat = flatLease === undefined ? [] : reader.all<ObjectName>(flatQuery, ...values);
  return { dead, flat, ...(next === undefined ? {} : { nextExpiry: next }) };
}

function expiries(reader: Reader, now: number): { expired: string[][]; next: number | undefined } {
  const times: number[] = [];
  const expired: string[][] = [];
  const labels = reader.all<ExpiryRow>(
    "SELECT namespace, kind, key, value FROM labels WHERE label = ? AND kind IN ('lease', 'image')",
    expireLabel,
  );
  for (const { namespace, kind, key, value } of labels) {
    const time = Date.parse(value);
    // A time that cannot be read is none, as in containerd: what has it stays.
    if (Number.isNaN(time)) continue;
    if (time > now) times.push(time);
    else expired.push([namespace, kind, key]);
  }
  const [row] = reader.all<{ next: number | null }>(
    "SELECT min(expires) AS next FROM (SELECT expires FROM leases WHERE expires > ?1 " +
      "UNION ALL SELECT expires FROM ingests WHERE expires > ?1)",
    now,
  );
  if (typeof row?.next === "number") times.push(row.next);
  return { expired, next: times.length === 0 ? undefined : times.reduce((a, b) => Math.min(a, b)) };
}

/**
 * A dead snapshot's children are dead too, and have to go first. Names go before everything that they stand for, so that
 * whoever is killed between leaves none that leads to nothing.
 */
function inOrder(reader: Reader, dead: readonly DeadObject[]): DeadObject[] {
  const parents = new Map(
    reader.all<{ name: string; parent: string }>(
      "SELECT namespace || '/' || snapshotter || '/' || key AS name, " +
        "namespace || '/' || snapshotter || '/' || parent AS parent FROM snapshots WHERE parent IS NOT NULL",
    ).map(({ name, parent }) => [name, parent]),
  );
  const depths = new Map<string, number>();
  const depthOf = (name: string): number => {
    const way: string[] = [];
    let at: string | undefined = name;
    // A parent that comes again is a damaged database: it ends the walk.
    while (at !== undefined && !depths.has(at) && !way.includes(at)) {
      way.push(at);
      at = parents.get(at);
    }
    let depth = at === undefined ? -1 : depths.get(at) ?? -1;
    for (const step of way.reverse()) depths.set(step, ++depth);
    return depths.get(name)!;
  };
  const depth = ({ namespace, kind, key }: DeadObject) => kind === "snapshot" ? depthOf(`${namespace}/${key}`) : 0;
  const turn = ({ kind }: DeadObject) => kind === "image" || kind === "lease" ? 0 : 1;
  return dead.map((object) => ({ object, turn: turn(object), depth: depth(object) }))
    .sort((a, b) => a.turn - b.turn || b.depth - a.depth)
    .map(({ object }) => object);
}
