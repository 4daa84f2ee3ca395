/**
 * What processes leave in a content directory that end between a file's step and its row's.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import type { Database } from "../metadata/database.ts";
import type { Trash } from "../metadata/trash.ts";
import { BlobFiles } from "./blob_files.ts";
import { IngestFiles } from "./ingest_files.ts";

/** What was removed. */
export interface Leftovers {
  /** Blob files that no namespace has a row for. */
  readonly blobs: readonly Digest[];
  /** Directories of unfinished writes without a row or without bytes. */
  readonly ingests: number;
}

/** Files that are looked at in one transaction. */
const batchMax = 100;

/**
 * Removes blob files and unfinished writes without a row: a commit moves the file before its row is there for others, and
 * a writer makes its directory before its row. Only for a root whose rows are all there: not for a stock containerd's
 * before its content was adopted. Others may work meanwhile. Throws the signal's reason.
 */
export async function removeLeftovers(
  database: Database,
  directory: string,
  trash: Trash,
  signal: AbortSignal,
): Promise<Leftovers> {
  const files = new BlobFiles(directory);
  const blobs: Digest[] = [];
  const all = [...files.list()];
  for (let start = 0; start < all.length; start += batchMax) {
    signal.throwIfAborted();
    blobs.push(...await removeOrphans(database, files, trash, all.slice(start, start + batchMax)));
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  let ingests = 0;
  for (const { name } of Deno.readDirSync(`${directory}/ingest`)) {
    signal.throwIfAborted();
    if (await removeIngest(database, `${directory}/ingest/${name}`)) ingests++;
  }
  return { blobs, ingests };
}

function isKnown(database: Database, digest: Digest): boolean {
  const sql = "SELECT 1 FROM blobs WHERE digest = ?1 UNION ALL SELECT 1 FROM ingests WHERE expected = ?1 LIMIT 1";
  return database.get(sql, digest) !== undefined;
}

async function removeOrphans(
  database: Database,
  files: BlobFiles,
  trash: Trash,
  digests: readonly Digest[],
): Promise<Digest[]> {
  const suspects = await database.read(() => digests.filter((digest) => !isKnown(database, digest)));
  if (suspects.length === 0) return [];
  // Once more, where nobody else can be in the middle of a commit.
  const taken = await database.transaction((undo) =>
    suspects.filter((digest) => !isKnown(database, digest))
      .map((digest) => ({ digest, place: trash.take(files.path(digest), undo) })), { frees: true });
  for (const { place } of taken) await trash.remove(place);
  return taken.map(({ digest }) => digest);
}

async function removeIngest(database: Database, directory: string): Promise<boolean> {
  const files = IngestFiles.takeAt(directory);
  // Somebody is about to make its row.
  if (files === undefined || files === "in use") return false;
  try {
    // Without its bytes it has become a blob, but for the row: nothing is there to go on with.
    const isUseful = files.hasData() && await database.read(() => hasRow(database, files.ref()));
    if (isUseful) return false;
    files.remove();
    return true;
  } finally {
    files[Symbol.dispose]();
  }
}

function hasRow(database: Database, diskRef: string | undefined): boolean {
  if (diskRef === undefined) return false;
  const slash = diskRef.indexOf("/");
  const sql = "SELECT 1 FROM ingests WHERE namespace = ? AND ref = ?";
  return database.get(sql, diskRef.slice(0, slash), diskRef.slice(slash + 1)) !== undefined;
}
