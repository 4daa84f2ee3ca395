/**
 * Reading long tables in pages, so that no list holds up the event loop.
 *
 * @module
 */
import type { Labels, ObjectKind } from "./label_refs.ts";
import type { Objects } from "./objects.ts";

/** Rows that are read at once: with a hundred kilobytes each it is still some ten milliseconds. */
const pageRowsMax = 200;
/** After so many milliseconds others have their turn. A timer costs 2 ms, and setImmediate lets no socket have one. */
const turnMsMax = 20;

/** How the objects of one kind are read. */
export interface PageSource<Row extends object, Info> {
  readonly kind: ObjectKind;
  /** Selects the rows of a namespace whose key is greater than the second `?`, by key, as many as the third says. */
  readonly sql: string;
  readonly keyOf: (row: Row) => string;
  readonly info: (row: Row, labels: Labels) => Info;
}

const noLabels: Labels = {};

/**
 * The objects of a namespace in byte order of their keys, page by page; each page is one state of the database, and up to
 * some thousand objects the whole list is. What the caller does with a page counts to the time of the turn.
 */
export async function* pagesOf<Row extends object, Info>(
  objects: Objects,
  source: PageSource<Row, Info>,
  signal?: AbortSignal,
): AsyncGenerator<Info[]> {
  const { database, namespace } = objects;
  let after = "";
  let began = performance.now();
  for (;;) {
    if (performance.now() - began > turnMsMax) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      began = performance.now();
    }
    const { infos, last } = await database.read(() => readPage(objects, source, namespace, after), signal);
    if (infos.length > 0) yield infos;
    if (last === undefined) return;
    after = last;
  }
}

/** One page; `last` is its last key where there may be more. */
function readPage<Row extends object, Info>(
  objects: Objects,
  { kind, sql, keyOf, info }: PageSource<Row, Info>,
  namespace: string,
  after: string,
): { infos: Info[]; last: string | undefined } {
  const rows = objects.database.all<Row>(sql, namespace, after, pageRowsMax);
  const first = rows[0];
  if (first === undefined) return { infos: [], last: undefined };
  const last = keyOf(rows.at(-1)!);
  const labels = objects.labelsBetween(kind, keyOf(first), last);
  const infos = rows.map((row) => info(row, labels.get(keyOf(row)) ?? noLabels));
  return { infos, last: rows.length < pageRowsMax ? undefined : last };
}

/** Keys are short: more of them are read at once. */
const pageKeysMax = 5000;

/**
 * The keys that pass, in order; as {@link pagesOf} otherwise. `sql` selects keys, with the values of
 * {@link PageSource.sql}. Undefined where more than `max` pass: then reading everything is quicker than looking them up.
 */
export async function keysWhere(
  objects: Objects,
  sql: string,
  passes: (key: string) => boolean,
  max: number,
  signal?: AbortSignal,
): Promise<string[] | undefined> {
  const { database, namespace } = objects;
  const found: string[] = [];
  for (let after = "";;) {
    const rows = await database.read(() => database.rows<[key: string]>(sql, namespace, after, pageKeysMax), signal);
    for (const [key] of rows) if (passes(key)) found.push(key);
    if (found.length > max) return undefined;
    if (rows.length < pageKeysMax) return found;
    after = rows.at(-1)![0];
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}
