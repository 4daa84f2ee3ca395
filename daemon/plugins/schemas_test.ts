import { deepEqual, equal, match } from "node:assert/strict";
import { readDocument } from "../config/document.ts";
import { defaultConfig, rootSchema } from "../config/root_schema.ts";
import { readTable } from "../config/read_table.ts";
import type { Field, Schema } from "../config/schema.ts";
import { tableAt } from "../config/tree.ts";
import { writeDocument } from "../config/write.ts";
import { foreignPlugins, pluginSchemas } from "./schemas.ts";
import { typeName, typeNames } from "./types.ts";

Deno.test("pluginSchemas has each plugin once, and each of a type that there is", () => {
  const uris = pluginSchemas.map(({ uri }) => uri);
  equal(new Set(uris).size, uris.length);
  const types = typeNames.map(typeName);
  for (const uri of uris) equal(types.some((type) => uri.startsWith(`${type}.`)), true, uri);
  for (const uri of uris) equal(foreignPlugins.has(uri), false, uri);
});

Deno.test("pluginSchemas has defaults that its own checks accept", async () => {
  const tree = await readDocument(writeDocument(defaultConfig(pluginSchemas)), "default");
  const problems: string[] = [];
  readTable(rootSchema, tree, [], ({ message }) => problems.push(message));
  for (const { uri, fields } of pluginSchemas) {
    readTable(fields, tableAt(tree, "plugins", uri), ["plugins", uri], ({ message }) => problems.push(message));
  }
  deepEqual(problems, []);
});

Deno.test("pluginSchemas says of each key what it is for", () => {
  const walk = (schema: Schema) => {
    for (const [key, field] of Object.entries<Field>(schema)) {
      match(key, /^[a-z][a-z_]*$/);
      match(field.about, /^.+[^. ]$/, key);
      if (field.type === "table" || field.type === "tables") walk(field.fields);
    }
  };
  for (const { fields } of pluginSchemas) walk(fields);
});
