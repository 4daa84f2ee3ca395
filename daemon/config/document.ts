/**
 * The text of a TOML file as a tree with places.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { findPlaces, lineCounter, type Place } from "./positions.ts";
import type { Item, Origin, Table } from "./tree.ts";

/** Tables and lists within each other: a configuration has six, and the walk over them is recursive. */
const depthMax = 100;

/**
 * Reads a document. `file` is the name that origins and errors have. Throws `InvalidArgument` with file, row and
 * column of what is wrong.
 */
export async function readDocument(text: string, file: string): Promise<Table> {
  // Only a daemon that has a file pays for the parser.
  const { parse, TomlError } = await import("smol-toml");
  // Some editors begin a file with a byte order mark, which is no part of it.
  const body = text.replace(/^\ufeff/, "");
  const position = lineCounter(body);
  let values: Readonly<Record<string, unknown>>;
  try {
    values = parse(body, { maxDepth: depthMax, integersAsBigInt: true });
  } catch (error) {
    if (error instanceof TomlError) {
      throw new Failure("InvalidArgument", `${file}:${error.line}:${error.column}: ${sentence(error.message)}`, {
        cause: error,
      });
    }
    throw error;
  }
  const originOf = (place: Place): Origin => ({ file, ...position(place.offset) });
  return tableOf(values, { place: findPlaces(body), depth: 0, originOf });
}

/** The first line says what; the parser's picture of the place follows it. */
function sentence(message: string): string {
  return message.split("\n")[0]!.replace("Invalid TOML document: ", "").replace(/[.:]$/, "");
}

/** How a value is found in the text, and how deep it is in the document. */
interface Where {
  readonly place: Place;
  readonly depth: number;
  readonly originOf: (place: Place) => Origin;
}

function tableOf(values: Readonly<Record<string, unknown>>, where: Where): Table {
  const { place, originOf } = where;
  const entries = new Map<string, Item>();
  for (const [key, value] of Object.entries(values)) {
    entries.set(key, itemOf(value, below(where, place.keys.get(key))));
  }
  return { kind: "table", entries, at: originOf(place) };
}

/** One level down. Keys with a thousand dots are no deep nesting to the parser, but they are to whoever walks here. */
function below({ place: parent, depth, originOf }: Where, place = parent): Where {
  if (depth >= depthMax) {
    const { file, line, column } = originOf(place);
    const message = `${file}:${line}:${column}: more than ${depthMax} tables or lists within each other`;
    throw new Failure("InvalidArgument", message);
  }
  return { place, depth: depth + 1, originOf };
}

function itemOf(value: unknown, where: Where): Item {
  const at = where.originOf(where.place);
  switch (typeof value) {
    case "string":
      return { kind: "string", value, at };
    case "boolean":
      return { kind: "bool", value, at };
    case "number":
      return { kind: "float", value, at };
    case "bigint": {
      const number = Number(value);
      return { kind: "int", value: Number.isSafeInteger(number) ? number : value, at };
    }
  }
  if (Array.isArray(value)) {
    const items = value.map((element, index) => itemOf(element, below(where, where.place.items[index])));
    return { kind: "list", items, at };
  }
  if (value instanceof Date) return { kind: "date", value: value.toISOString(), at };
  // All that the parser makes besides are tables, as objects without prototype.
  return tableOf(value as Record<string, unknown>, where);
}
