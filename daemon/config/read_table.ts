/**
 * A table of the configuration as typed values, with everything in it that the schema does not allow.
 *
 * @module
 */
import { nearestName } from "../../api/nearest_name.ts";
import { Failure } from "../../api/errors.ts";
import { parseDuration } from "./duration.ts";
import { quotePath } from "./key.ts";
import type { Problem } from "./problem.ts";
import { type Field, nameOf, type Schema, type ValuesOf } from "./schema.ts";
import { isZero, type Item, type Table } from "./tree.ts";

/** Where a reader tells what is wrong. */
export type Report = (problem: Problem) => void;

/**
 * Reads a table: what is missing or of a wrong type has its default. Problems are reported; `path` are the keys that lead
 * to the table, for messages.
 */
export function readTable<S extends Schema>(
  schema: S,
  table: Table | undefined,
  path: readonly string[],
  report: Report,
): ValuesOf<S> {
  const values: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(schema)) {
    values[nameOf(key)] = readField(field, table?.entries.get(key), [...path, key], report);
  }
  for (const [key, { at }] of table?.entries ?? []) {
    if (!Object.hasOwn(schema, key)) report({ severity: "problem", at, message: unknownKey(path, key, schema) });
  }
  // Each key of the schema was read as its field says, which is what ValuesOf mirrors.
  return values as ValuesOf<S>;
}

function unknownKey(path: readonly string[], key: string, schema: Schema): string {
  const nearest = nearestName(key, Object.keys(schema));
  const hint = nearest === undefined ? "it is ignored" : `did you mean ${quotePath([nearest])}?`;
  return `unknown key ${quotePath([...path, key])}: ${hint}`;
}

function readField(field: Field, item: Item | undefined, path: readonly string[], report: Report): unknown {
  if (item === undefined) return defaultOf(field, path, report);
  const { deprecated, ineffective } = field;
  // Generated configurations hold all defaults, which ask for nothing.
  const asks = !isZero(item) && !("default" in field && "value" in item && item.value === field.default);
  if ((deprecated ?? ineffective) !== undefined && asks) {
    const what = deprecated === undefined
      ? `has no effect: ${ineffective}`
      : `is deprecated and has no effect: ${deprecated}`;
    report({ severity: "problem", at: item.at, message: `${quotePath(path)} ${what}` });
  }
  const bad = (want: string): unknown => {
    const message = `${quotePath(path)} is ${describe(item)}: want ${want}`;
    report({ severity: "error", at: item.at, message });
    return defaultOf(field, path, report);
  };
  switch (field.type) {
    case "open":
      return item;
    case "string": {
      if (item.kind !== "string") return bad(example("a string", field.default));
      const { choices } = field;
      if (choices !== undefined && item.value !== field.default && !choices.includes(item.value)) {
        return bad(`one of ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`);
      }
      return item.value;
    }
    case "bool":
      return item.kind === "bool" ? item.value : bad("true or false");
    case "int":
    case "float": {
      const { min = -Infinity, max = Infinity } = field;
      const fits = item.kind === "int" || (item.kind === "float" && field.type === "float");
      if (fits && typeof item.value === "number" && item.value >= min && item.value <= max) return item.value;
      return bad(`a ${field.type === "int" ? "whole " : ""}number${range(min, max)}, such as ${field.default}`);
    }
    case "duration": {
      const want = `a duration, such as "${field.default === "0s" ? "10s" : field.default}"`;
      if (item.kind !== "string") return bad(want);
      try {
        return parseDuration(item.value);
      } catch (error) {
        if (error instanceof Failure) return bad(want);
        throw error;
      }
    }
    case "strings":
      if (item.kind !== "list") return bad(`a list of strings, such as ["one", "two"]`);
      return item.items.flatMap((entry, index) => {
        if (entry.kind === "string") return [entry.value];
        const message = `${quotePath(path)}[${index}] is ${describe(entry)}: want a string`;
        report({ severity: "error", at: entry.at, message });
        return [];
      });
    case "table":
      return item.kind === "table" ? readTable(field.fields, item, path, report) : bad("a table");
    case "tables":
      if (item.kind !== "list") return bad(`a list of tables, as [[${quotePath(path)}]] begins them`);
      return item.items.flatMap((entry, index) => {
        if (entry.kind === "table") return [readTable(field.fields, entry, path, report)];
        const message = `${quotePath(path)}[${index}] is ${describe(entry)}: want a table`;
        report({ severity: "error", at: entry.at, message });
        return [];
      });
    case "map":
      if (item.kind !== "table") return bad("a table");
      return new Map(
        [...item.entries].map(([key, entry]) => [key, readField(field.of, entry, [...path, key], report)]),
      );
  }
}

function defaultOf(field: Field, path: readonly string[], report: Report): unknown {
  switch (field.type) {
    case "duration":
      return parseDuration(field.default);
    case "table":
      return readTable(field.fields, undefined, path, report);
    case "tables":
      return [];
    case "map":
      return new Map();
    case "open":
      return undefined;
    default:
      return field.default;
  }
}

/** What is there, as a clause of a message. Long texts are cut. */
function describe(item: Item): string {
  switch (item.kind) {
    case "table":
      return "a table";
    case "list":
      return "a list";
    case "string":
      return `the string ${JSON.stringify(item.value.length > 100 ? item.value.slice(0, 100) + "…" : item.value)}`;
    case "bool":
      return String(item.value);
    case "date":
      return `the date ${item.value}`;
    default:
      return `the number ${item.value}`;
  }
}

function example(what: string, value: string): string {
  return value === "" ? what : `${what}, such as ${JSON.stringify(value)}`;
}

function range(min: number, max: number): string {
  if (min === -Infinity) return max === Infinity ? "" : ` up to ${max}`;
  return max === Infinity ? ` from ${min}` : ` from ${min} to ${max}`;
}
