/**
 * Finding objects by what a person types: a digest or the beginning of one, a name, an id, a key.
 *
 * @module
 */
import type { ObjectName, Reader } from "./reader.ts";

/** So many matches of a beginning are told: more is no name. */
const matchesMax = 20;

const byName = `
  SELECT namespace, 'image' AS kind, name AS key FROM images WHERE name = ?1
  UNION ALL SELECT namespace, 'container', id FROM containers WHERE id = ?1
  UNION ALL SELECT namespace, 'sandbox', id FROM sandboxes WHERE id = ?1
  UNION ALL SELECT namespace, 'lease', id FROM leases WHERE id = ?1
  UNION ALL SELECT namespace, 'ingest', ref FROM ingests WHERE ref = ?1
  UNION ALL SELECT namespace, 'snapshot', snapshotter || '/' || key FROM snapshots
    WHERE key = ?1 OR snapshotter || '/' || key = ?1
  UNION ALL SELECT namespace, 'content', digest FROM blobs WHERE digest = ?1`;

const byDigest = "SELECT namespace, 'content' AS kind, digest AS key FROM blobs " +
  "WHERE digest >= ?1 AND digest < ?2 ORDER BY digest LIMIT ?3";

/** The objects of that name, of one namespace or of all; of several kinds where the name fits several. */
export function findObjects(reader: Reader, text: string, namespace: string | undefined): ObjectName[] {
  const found = reader.all<ObjectName>(byName, text);
  if (found.length === 0 && /^(sha(256|384|512):)?[0-9a-f]{4,128}$/.test(text)) {
    const start = text.includes(":") ? text : `sha256:${text}`;
    found.push(...reader.all<ObjectName>(byDigest, start, `${start}g`, matchesMax));
  }
  return found.filter((object) => namespace === undefined || object.namespace === namespace);
}
