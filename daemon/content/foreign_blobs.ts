/**
 * Blob files that a stock containerd has written and may still count on.
 *
 * On its root such files serve our namespaces as well, but the last row of ours that goes does not take them along: only
 * adoption makes them ours.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import type { Database } from "../metadata/database.ts";
import type { BlobFiles } from "./blob_files.ts";

/** Whether the file of that digest is not ours. Inside `Database.read` or a transaction. */
export function isForeign(database: Database, digest: Digest): boolean {
  return database.get("SELECT 1 FROM foreign_blobs WHERE digest = ?", digest) !== undefined;
}

/** Says that a file is not ours, or not ours alone. In a transaction. */
export function markForeign(database: Database, digest: Digest): void {
  database.run("INSERT OR IGNORE INTO foreign_blobs VALUES (?)", digest);
}

/**
 * Says so of all files that no row of ours names, and forgets what has gone. To be called before anybody is served: it blocks
 * for 0.6 s with 100,000 files, and for twice that the first time. Throws what the disk throws.
 */
export async function markAllForeign(database: Database, files: BlobFiles): Promise<void> {
  const there = new Set(files.list());
  await database.transaction(() => {
    const digests = (table: string) =>
      new Set(database.rows<[digest: Digest]>(`SELECT DISTINCT digest FROM ${table}`).map(([digest]) => digest));
    const [own, foreign] = [digests("blobs"), digests("foreign_blobs")];
    for (const digest of there) if (!own.has(digest) && !foreign.has(digest)) markForeign(database, digest);
    for (const digest of foreign) {
      if (!there.has(digest)) database.run("DELETE FROM foreign_blobs WHERE digest = ?", digest);
    }
  });
}

/** Makes those files ours that have rows of ours, but for some. In a transaction. */
export function takeForeign(database: Database, but: readonly string[]): void {
  const others = JSON.stringify(but);
  database.run(
    "DELETE FROM foreign_blobs WHERE digest IN (SELECT digest FROM blobs) " +
      "AND digest NOT IN (SELECT value FROM json_each(?))",
    others,
  );
}
