/**
 * A tree as the text of a TOML file, in the form that containerd 2 writes: tables indented, strings in single quotes.
 *
 * @module
 */
import { quoteKey, quotePath, quoteText } from "./key.ts";
import type { Item, List, Table } from "./tree.ts";

/** How a document is written. */
export interface WriteOptions {
  /** Gives the comment behind a value; undefined for none. `path` are the keys that lead to it. */
  readonly remark?: (item: Item, path: readonly string[]) => string | undefined;
}

/** The document. Values come before tables, and both stay in their order. */
export function writeDocument(table: Table, options: WriteOptions = {}): string {
  const lines: string[] = [];
  writeTable(table, [], lines, options);
  return lines.join("\n") + "\n";
}

function writeTable(table: Table, path: readonly string[], lines: string[], options: WriteOptions): void {
  const indent = "  ".repeat(path.length);
  const nested: [string, Table | List][] = [];
  let values = 0;
  for (const [key, item] of table.entries) {
    if (item.kind === "table" || isTables(item)) {
      nested.push([key, item]);
      continue;
    }
    const remark = options.remark?.(item, [...path, key]);
    const comment = remark === undefined ? "" : ` # ${onOneLine(remark)}`;
    lines.push(`${indent}${quoteKey(key)} = ${writeValue(item)}${comment}`);
    values++;
  }
  nested.forEach(([key, item], index) => {
    const below = [...path, key];
    const header = `${indent}[${quotePath(below)}]`;
    const blocks = item.kind === "table" ? [item] : item.items;
    blocks.forEach((block, number) => {
      if (values > 0 || index > 0 || number > 0) lines.push("");
      lines.push(item.kind === "table" ? header : `${indent}[[${quotePath(below)}]]`);
      // Lists of tables have nothing else in them: isTables has looked.
      if (block.kind === "table") writeTable(block, below, lines, options);
    });
  });
}

/** A path of a file may hold anything but NUL; a comment ends with its line. */
function onOneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}

function isTables(item: Item): item is List {
  return item.kind === "list" && item.items.length > 0 && item.items.every(({ kind }) => kind === "table");
}

function writeValue(item: Item): string {
  switch (item.kind) {
    case "string":
      return quoteText(item.value);
    case "float":
      return writeFloat(item.value);
    case "list":
      return `[${item.items.map(writeValue).join(", ")}]`;
    case "table": {
      const pairs = [...item.entries].map(([key, entry]) => `${quoteKey(key)} = ${writeValue(entry)}`);
      return pairs.length === 0 ? "{}" : `{${pairs.join(", ")}}`;
    }
    default:
      return String(item.value);
  }
}

function writeFloat(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const text = Object.is(value, -0) ? "-0" : String(value);
  return /[.e]/.test(text) ? text : text + ".0";
}
