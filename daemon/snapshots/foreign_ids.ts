/**
 * Directories of snapshots that are not ours: a stock containerd numbers its own in the same place.
 *
 * @module
 */
import type { Database } from "../metadata/database.ts";

/** One place where snapshots lie. */
export interface SnapshotRoot {
  readonly snapshotter: string;
  /** The configured `root_path`; empty for the place within the root, which stays the same when the root is moved. */
  readonly rootPath: string;
  /** Has the directories of snapshots in `snapshots`. */
  readonly directory: string;
}

/**
 * Our numbers begin so far above the ones that are there, so that a stock containerd that gets its root back does not
 * soon come to where ours are.
 */
const gap = 1_000_000;

interface ForeignRow {
  foreign_max: number;
}

/** Directories with numbers up to this one are not ours; undefined where nobody has looked yet. Inside `read`. */
export function knownForeignMax(database: Database, { snapshotter, rootPath }: SnapshotRoot): number | undefined {
  const sql = "SELECT foreign_max FROM snapshot_roots WHERE snapshotter = ? AND root_path = ?";
  return database.get<ForeignRow>(sql, snapshotter, rootPath)?.foreign_max;
}

/** As {@link knownForeignMax}; the first one to use a place looks, and makes new ids begin above. In a transaction. */
export function foreignMax(database: Database, root: SnapshotRoot): number {
  const known = knownForeignMax(database, root);
  if (known !== undefined) return known;
  const highest = highestDirectory(root.directory);
  return setForeignMax(database, root, highest === 0 ? 0 : highest + gap);
}

/** Says that everything that lies there now is not ours, as one was found that no row has named. In a transaction. */
export function yieldToStrangers(database: Database, root: SnapshotRoot): void {
  setForeignMax(database, root, highestDirectory(root.directory) + gap);
}

function setForeignMax(database: Database, { snapshotter, rootPath }: SnapshotRoot, max: number): number {
  database.run("INSERT OR REPLACE INTO snapshot_roots VALUES (?, ?, ?)", snapshotter, rootPath, max);
  const raised = database.run("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'snapshots'", max);
  if (raised === 0) database.run("INSERT INTO sqlite_sequence VALUES ('snapshots', ?)", max);
  return max;
}

/** The last id that a row was given. Inside `read` or a transaction. */
export function lastId(database: Database): number {
  return database.get<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'snapshots'")?.seq ?? 0;
}

function highestDirectory(directory: string): number {
  let highest = 0;
  for (const { name } of Deno.readDirSync(`${directory}/snapshots`)) {
    if (/^\d{1,15}$/.test(name)) highest = Math.max(highest, Number(name));
  }
  return highest;
}
