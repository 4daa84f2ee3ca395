/**
 * Saving what can be read of a damaged database.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { removeIfThere } from "../../ffi/if_there.ts";
import { makeEmptyDatabase, makeReadableCopy } from "./readable_copy.ts";

/** What was saved. */
export interface Salvaged {
  /** Where the damaged file is now; undefined where there was none. */
  readonly setAside: string | undefined;
  /** Table → rows that were read. */
  readonly rows: ReadonlyMap<string, number>;
  /** Tables that could not be read to their end. */
  readonly incomplete: readonly string[];
}

/** Tables in an order in which each could be filled; all that the schema has. */
const tables = [
  "namespaces",
  "images",
  "containers",
  "blobs",
  "ingests",
  "snapshots",
  "leases",
  "labels",
  "refs",
  "sandboxes",
  "snapshot_roots",
  "foreign_blobs",
];

/**
 * Moves a damaged database aside and makes a new one of the rows that can still be read, from the front and from the
 * back of each table; there may be none. Nobody else may have it open. Throws what the disk throws, and everything is then
 * as before.
 */
export function salvage(path: string): Salvaged {
  const setAside = `${path}.damaged-${new Date().toISOString().replaceAll(":", "-")}`;
  const fresh = `${path}.salvaged`;
  const copy = `${path}.reading`;
  const rows = new Map<string, number>();
  const incomplete: string[] = [];
  for (const left of [fresh, copy]) removeWithLog(left);
  try {
    makeEmptyDatabase(fresh);
    if (makeReadableCopy(path, copy, fresh)) copyTables(copy, fresh, rows, incomplete);
    else incomplete.push(...tables);
    const was = ["", "-wal", "-shm"].map((suffix) => moveIfThere(path + suffix, setAside + suffix));
    Deno.renameSync(fresh, path);
    return { setAside: was[0] === true ? setAside : undefined, rows, incomplete };
  } finally {
    for (const left of [fresh, copy]) removeWithLog(left);
  }
}

function copyTables(from: string, to: string, rows: Map<string, number>, incomplete: string[]): void {
  using source = new DatabaseSync(from, { readOnly: true });
  using target = new DatabaseSync(to);
  target.exec("BEGIN");
  for (const table of tables) {
    const { saved, whole } = copyTable(source, target, table);
    rows.set(table, saved);
    if (!whole) incomplete.push(table);
  }
  target.exec("COMMIT");
  target.exec("PRAGMA journal_mode = WAL");
}

function copyTable(source: DatabaseSync, target: DatabaseSync, table: string): { saved: number; whole: boolean } {
  let columns: string[];
  try {
    columns = source.prepare(`SELECT name FROM pragma_table_info('${table}')`).all().map(({ name }) => String(name));
  } catch {
    return { saved: 0, whole: false };
  }
  // A table of an older schema's; it had no rows to lose.
  if (columns.length === 0) return { saved: 0, whole: true };
  const names = columns.map((name) => `"${name}"`).join(", ");
  const insert = target.prepare(
    `INSERT OR IGNORE INTO ${table} (${names}) VALUES (${columns.map(() => "?").join(", ")})`,
  );
  let saved = 0, whole = true;
  const first = columns[0]!;
  for (const order of [`"${first}"`, `"${first}" DESC`]) {
    try {
      for (const row of source.prepare(`SELECT ${names} FROM ${table} ORDER BY ${order}`).iterate()) {
        saved += Number(insert.run(...columns.map((name) => row[name]!)).changes);
      }
      if (whole) break;
    } catch {
      // The rest is behind a page that cannot be read; from the other end it may be reached.
      whole = false;
    }
  }
  return { saved, whole };
}

/** Whether it was there. */
function moveIfThere(from: string, to: string): boolean {
  try {
    Deno.renameSync(from, to);
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return false;
  }
}

function removeWithLog(path: string): void {
  for (const suffix of ["", "-wal", "-shm"]) removeIfThere(path + suffix);
}
