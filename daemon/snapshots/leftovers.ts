/**
 * What processes left that died while they made or removed a snapshot.
 *
 * @module
 */
import { FileLock } from "../leases/file_lock.ts";
import type { Database } from "../metadata/database.ts";
import type { Trash } from "../metadata/trash.ts";
import { knownForeignMax, lastId, type SnapshotRoot } from "./foreign_ids.ts";

/** Where leftovers are looked for. */
export interface LeftoverPlaces {
  readonly root: SnapshotRoot;
  readonly database: Database;
  readonly trash: Trash;
}

/**
 * Throws leftovers away: new directories that nobody has locked, those of numbers that a row had and that have none any
 * more, and locks of such. What no row of ours can have named stays. Several may do so at once, and beside anything.
 */
export async function discardLeftovers({ root, database, trash }: LeftoverPlaces): Promise<void> {
  const { directory } = root;
  const entries = Deno.readDirSync(`${directory}/snapshots`);
  const { known, foreign, last } = await database.read(() => ({
    known: idsOf(database, root.snapshotter),
    foreign: knownForeignMax(database, root),
    last: lastId(database),
  }));
  for (const { name } of entries) {
    if (name.startsWith("new-")) await discardIfFree(`${directory}/snapshots/${name}`, trash);
    if (foreign === undefined || !/^\d{1,15}$/.test(name)) continue;
    const id = Number(name);
    if (id <= foreign || id > last || known.has(id)) continue;
    // Inside a transaction nobody else is between giving a directory its place and adding its row.
    const place = await database.transaction(
      (undo) =>
        idsOf(database, root.snapshotter).has(id) ? undefined : trash.take(`${directory}/snapshots/${name}`, undo),
      { durable: false },
    );
    await trash.remove(place);
  }
  for (const { name } of Deno.readDirSync(`${directory}/locks`)) {
    if (!known.has(Number(name))) removeFreeLock(`${directory}/locks/${name}`);
  }
}

/** Ids of all rows of a snapshotter, of all namespaces. */
function idsOf(database: Database, snapshotter: string): Set<number> {
  const sql = "SELECT id FROM snapshots WHERE snapshotter = ?";
  return new Set(database.all<{ id: number }>(sql, snapshotter).map(({ id }) => id));
}

async function discardIfFree(path: string, trash: Trash): Promise<void> {
  let lock: FileLock | undefined;
  try {
    lock = FileLock.tryAcquire(path);
  } catch (error) {
    // Renamed into place in the meantime.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (lock === undefined) return;
  using _held = lock;
  // Nothing in the database is about it, so there is no transaction that could take it back.
  await trash.remove(trash.take(path, []));
}

function removeFreeLock(path: string): void {
  try {
    FileLock.tryAcquire(path)?.release({ remove: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
