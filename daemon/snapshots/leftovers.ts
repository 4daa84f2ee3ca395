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

/** A transaction gives no more ids than this: one that was lost had some of the next so many. */
const newIdsMax = 1_000;

/**
 * Throws leftovers away: new directories that nobody has locked, those of numbers that a row had and that have none any
 * more, and locks of such. What no row of ours can have named stays, unless nobody but us was ever here and it is as
 * empty as when it was made: that is of a process that died before its commit. Several may do so at once, and beside anything.
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
    if (!/^\d{1,15}$/.test(name)) continue;
    const id = Number(name);
    if (id <= (foreign ?? 0) || known.has(id)) continue;
    const hadRow = foreign !== undefined && id <= last;
    if (!hadRow && (id > last + newIdsMax || hasStranger(directory) || !isUnused(`${directory}/snapshots/${name}`))) {
      continue;
    }
    // Inside a transaction nobody else is between giving a directory its place and adding its row.
    const place = await database.transaction(
      (undo) =>
        idsOf(database, root.snapshotter).has(id)
          ? undefined
          : trash.takeOrphan(`${directory}/snapshots/${name}`, undo),
      { durable: false, frees: true },
    );
    await trash.remove(place);
  }
  for (const { name } of Deno.readDirSync(`${directory}/locks`)) {
    if (!known.has(Number(name))) removeFreeLock(`${directory}/locks/${name}`);
  }
}

/** Whether a stock containerd has used the place: it keeps a database there. */
function hasStranger(directory: string): boolean {
  try {
    Deno.lstatSync(`${directory}/metadata.db`);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Whether nothing was ever written to a snapshot: it has at most the empty directories that it was made with. */
function isUnused(path: string): boolean {
  for (const { name, isDirectory } of Deno.readDirSync(path)) {
    if (!isDirectory || Deno.readDirSync(`${path}/${name}`)[Symbol.iterator]().next().done !== true) return false;
  }
  return true;
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
  await trash.remove(trash.takeOrphan(path));
}

function removeFreeLock(path: string): void {
  try {
    FileLock.tryAcquire(path)?.release({ remove: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
