/**
 * Reading long tables in pages, so that no list holds up the event loop.
 *
 * @module
 */
import type { Labels, ObjectKind } from "./label_refs.ts";
import type { Objects } from "./objects.ts";

/** Rows that are read at once: with a hundred kilobytes each it is still some ten milliseconds. */
const pageRowsMax = 200;
/** After so many milliseconds others have their turn; reading goes on after it. */
const turnMsMax = 10;

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
    const rows = await database.read(() => readPage(objects, source, namespace, after), signal);
    if (rows.length > 0) yield rows.map(({ row, labels }) => source.info(row, labels));
    if (rows.length < pageRowsMax) return;
    after = source.keyOf(rows.at(-1)!.row);
  }
}

function readPage<Row extends object, Info>(
  objects: Objects,
  { kind, sql, keyOf }: PageSource<Row, Info>,
  namespace: string,
  after: string,
): { row: Row; labels: Labels }[] {
  const rows = objects.database.all<Row>(sql, namespace, after, pageRowsMax);
  const first = rows[0];
  if (first === undefined) return [];
  const labels = objects.labelsBetween(kind, keyOf(first), keyOf(rows.at(-1)!));
  return rows.map((row) => ({ row, labels: labels.get(keyOf(row)) ?? noLabels }));
}
