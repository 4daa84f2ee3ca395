/**
 * What a key of the configuration is for.
 *
 * @module
 */
import { rootSchema } from "./root_schema.ts";
import type { Field, PluginSchema, Schema } from "./schema.ts";

/** One clause about the key at the path; undefined for one that nobody knows. */
export function aboutKey(path: readonly string[], schemas: readonly PluginSchema[]): string | undefined {
  const [first, uri, ...rest] = path;
  if (first === "plugins" && uri !== undefined) {
    const plugin = schemas.find((schema) => schema.uri === uri);
    return plugin === undefined ? undefined : aboutOf(plugin.fields, rest);
  }
  return aboutOf(rootSchema, path);
}

function aboutOf(schema: Schema, [key = "", ...rest]: readonly string[]): string | undefined {
  let field: Field | undefined = Object.hasOwn(schema, key) ? schema[key] : undefined;
  for (const below of rest) {
    if (field?.type === "map") field = field.of;
    else if (field?.type !== "table" && field?.type !== "tables") return undefined;
    else field = Object.hasOwn(field.fields, below) ? field.fields[below] : undefined;
  }
  return field === undefined || field.about === "" ? undefined : field.about;
}
