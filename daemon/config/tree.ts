/**
 * A configuration as a tree of tables, where every value knows where it was written.
 *
 * Leaves and origins never change and may be shared between trees; tables belong to one tree, see {@link copyTable}.
 *
 * @module
 */

/** Where a value was written. */
export interface Origin {
  /** Path of the file, or what stands for it: `default`, `command line`. */
  readonly file: string;
  /** From 1; 0 where there are no lines. */
  readonly line: number;
  /** From 1; 0 where there are no columns. */
  readonly column: number;
}

/** One value that is neither table nor list. An `int` beyond 2^53 is a bigint; a `date` is kept as its text. */
export type Leaf =
  | { readonly kind: "string"; readonly value: string; readonly at: Origin }
  | { readonly kind: "int"; readonly value: number | bigint; readonly at: Origin }
  | { readonly kind: "float"; readonly value: number; readonly at: Origin }
  | { readonly kind: "bool"; readonly value: boolean; readonly at: Origin }
  | { readonly kind: "date"; readonly value: string; readonly at: Origin };

/** An array; of tables as well. */
export interface List {
  readonly kind: "list";
  readonly items: readonly Item[];
  readonly at: Origin;
}

/** A table; entries are in the order in which they were written. */
export interface Table {
  readonly kind: "table";
  readonly entries: Map<string, Item>;
  readonly at: Origin;
}

/** Anything that a key can have. */
export type Item = Leaf | List | Table;

/** The origin of what nobody wrote. */
export const byDefault: Origin = { file: "default", line: 0, column: 0 };

/** An origin as messages name it: `/etc/containerd/config.toml:12:5`. */
export function showOrigin({ file, line, column }: Origin): string {
  return line === 0 ? file : `${file}:${line}:${column}`;
}

/** A table without entries. */
export function emptyTable(at: Origin = byDefault): Table {
  return { kind: "table", entries: new Map(), at };
}

/** A tree of its own; changes to it are not seen in the original. */
export function copyTable(table: Table): Table {
  return { ...table, entries: new Map([...table.entries].map(([key, item]) => [key, copyItem(item)])) };
}

function copyItem(item: Item): Item {
  if (item.kind === "table") return copyTable(item);
  return item.kind === "list" ? { ...item, items: item.items.map(copyItem) } : item;
}

/** What stands at the path; undefined where nothing does, or something on the way is no table. */
export function itemAt(table: Table, ...path: string[]): Item | undefined {
  let item: Item | undefined = table;
  for (const key of path) {
    if (item?.kind !== "table") return undefined;
    item = item.entries.get(key);
  }
  return item;
}

/** The table at the path; undefined where none is. */
export function tableAt(table: Table, ...path: string[]): Table | undefined {
  const item = itemAt(table, ...path);
  return item?.kind === "table" ? item : undefined;
}

/**
 * The table at the path, made with this origin where it is missing; undefined where something else stands in the way,
 * which the check of types reports.
 */
export function openTable(table: Table, path: readonly string[], at: Origin): Table | undefined {
  let current = table;
  for (const key of path) {
    let next = current.entries.get(key);
    if (next === undefined) current.entries.set(key, next = emptyTable(at));
    if (next.kind !== "table") return undefined;
    current = next;
  }
  return current;
}

/** Whether Go would call the value zero: `""`, 0, false, an empty list or table. */
export function isZero(item: Item): boolean {
  if (item.kind === "table") return item.entries.size === 0;
  if (item.kind === "list") return item.items.length === 0;
  return item.value === "" || item.value === 0 || item.value === false;
}

/** A string that nobody wrote at a place of its own. */
export function stringLeaf(value: string, at: Origin = byDefault): Leaf {
  return { kind: "string", value, at };
}

/** The text of a string; undefined for everything else. */
export function textOf(item: Item | undefined): string | undefined {
  return item?.kind === "string" ? item.value : undefined;
}

/** The texts of the strings in a list; nothing for everything else. */
export function textsOf(item: Item | undefined): string[] {
  return item?.kind === "list" ? item.items.flatMap((entry) => entry.kind === "string" ? [entry.value] : []) : [];
}
