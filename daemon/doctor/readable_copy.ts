/**
 * A copy of a damaged database that SQLite opens, though pages of it are torn.
 *
 * SQLite refuses a file as a whole whose first page is not as it should be, or which is shorter than that page says. The
 * rest of the file is as good as it was: a table can be read as far as its own pages are there.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { copyIfThere } from "../../ffi/if_there.ts";
import { migrations, newSchema } from "../metadata/schema.ts";

/** What SQLite's file format begins with (section 1.3 of its description). */
const magic = new TextEncoder().encode("SQLite format 3\0");
/** Offsets of 32-bit numbers in the first page. */
const changeCounterAt = 24, pageCountAt = 28, countedAtChangeAt = 92;
/** SQLite's usual size; every database of barge has it. */
const pageBytes = 4096;

/** Makes a new database with the schema, and closes it. Throws what the disk throws. */
export function makeEmptyDatabase(path: string): void {
  using database = new DatabaseSync(path);
  database.exec(newSchema);
  database.exec(`PRAGMA user_version = ${migrations.length}`);
}

/**
 * Copies the database at `path` with its log to `copy`, which is changed so that it can be opened. `empty` is the path of
 * a new database with the schema. Gives whether there is anything to read.
 */
export function makeReadableCopy(path: string, copy: string, empty: string): boolean {
  if (!copyIfThere(path, copy)) return false;
  copyIfThere(`${path}-wal`, `${copy}-wal`);
  if (hasSchema(copy)) return true;
  using file = Deno.openSync(empty, { read: true });
  const first = readPage(file);
  const pagesMin = Math.floor(file.statSync().size / pageBytes);
  patch(copy, undefined, pagesMin);
  if (hasSchema(copy)) return true;
  // A schema is laid out in the same way in every new database, so another one's first page knows where the tables are.
  patch(copy, first, pagesMin);
  return hasSchema(copy);
}

function hasSchema(path: string): boolean {
  try {
    using database = new DatabaseSync(path, { readOnly: true });
    return database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all().length > 0;
  } catch {
    // Whatever the reason: it cannot be opened like this.
    return false;
  }
}

/**
 * Replaces the first page where another is given, and makes it say how many pages there are. Where there are fewer than the
 * tables begin on, empty ones follow, which SQLite finds damaged when it comes to them, and not before.
 */
function patch(path: string, page: Uint8Array | undefined, pagesMin: number): void {
  using file = Deno.openSync(path, { read: true, write: true });
  const whole = Math.floor(file.statSync().size / pageBytes);
  if (whole === 0) return;
  const pages = Math.max(whole, pagesMin);
  const first = page ?? readPage(file);
  if (magic.some((byte, index) => first[index] !== byte)) return;
  const numbers = new DataView(first.buffer, first.byteOffset, first.byteLength);
  numbers.setUint32(pageCountAt, pages);
  // The count holds only where it was written with the last change.
  numbers.setUint32(countedAtChangeAt, numbers.getUint32(changeCounterAt));
  file.seekSync(0, Deno.SeekMode.Start);
  for (let at = 0; at < first.length;) at += file.writeSync(first.subarray(at));
  file.truncateSync(pages * pageBytes);
}

function readPage(file: Deno.FsFile): Uint8Array {
  const page = new Uint8Array(pageBytes);
  file.seekSync(0, Deno.SeekMode.Start);
  for (let at = 0, count: number | null; at < page.length; at += count) {
    count = file.readSync(page.subarray(at));
    if (count === null) break;
  }
  return page;
}
