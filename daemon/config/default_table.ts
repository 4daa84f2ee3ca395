/**
 * The table that a schema stands for while nobody has written anything.
 *
 * @module
 */
import type { Field, Schema } from "./schema.ts";
import { byDefault, type Item, stringLeaf, type Table } from "./tree.ts";

/** The defaults of a schema as a tree, in the schema's order. Deprecated and quiet keys are left out. */
export function defaultTable(schema: Schema): Table {
  const entries = new Map<string, Item>();
  for (const [key, field] of Object.entries(schema)) {
    if (field.deprecated !== undefined || field.quiet) continue;
    const item = defaultItem(field);
    if (item !== undefined) entries.set(key, item);
  }
  return { kind: "table", entries, at: byDefault };
}

function defaultItem(field: Field): Item | undefined {
  const at = byDefault;
  switch (field.type) {
    case "string":
    case "duration":
      return stringLeaf(field.default);
    case "bool":
      return { kind: "bool", value: field.default, at };
    case "int":
    case "float":
      return { kind: field.type, value: field.default, at };
    case "strings":
      return { kind: "list", items: field.default.map((text) => stringLeaf(text)), at };
    case "tables":
      return { kind: "list", items: [], at };
    case "table":
      return defaultTable(field.fields);
    case "map":
    case "open":
      return undefined;
  }
}
