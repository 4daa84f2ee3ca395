/**
 * What is wrong with one file of the configuration, once it is in the current version.
 *
 * @module
 */
import { nearestName } from "../../api/nearest_name.ts";
import { quotePath } from "./key.ts";
import { readTable, type Report } from "./read_table.ts";
import { rootSchema } from "./root_schema.ts";
import type { PluginSchema } from "./schema.ts";
import { type Table, tableAt } from "./tree.ts";

/** The plugins that a configuration may speak of. */
export interface KnownPlugins {
  readonly schemas: readonly PluginSchema[];
  /** Ids of plugins in other processes; their types are not looked at. */
  readonly proxies: Iterable<string>;
  /** URIs that containerd has or had, but this daemon has not: their sections are kept and not looked at. */
  readonly foreign: ReadonlySet<string>;
}

/** Reports unknown keys, wrong types and names of plugins that do not exist. */
export function checkConfig(tree: Table, known: KnownPlugins, report: Report): void {
  readTable(rootSchema, tree, [], report);
  const schemas = new Map(known.schemas.map((schema) => [schema.uri, schema]));
  const proxies = [...known.proxies];
  const isKnown = (uri: string) =>
    schemas.has(uri) || known.foreign.has(uri) || proxies.some((id) => uri.endsWith(`.${id}`));
  const unknown = (uri: string) => {
    const nearest = nearestName(uri, [...schemas.keys(), ...known.foreign]);
    return `there is no plugin ${quotePath([uri])}: ${
      nearest === undefined ? "it is ignored" : `did you mean ${quotePath([nearest])}?`
    }`;
  };
  for (const [uri, section] of tableAt(tree, "plugins")?.entries ?? []) {
    const schema = schemas.get(uri);
    if (!isKnown(uri)) report({ severity: "problem", at: section.at, message: unknown(uri) });
    else if (section.kind !== "table") {
      const message = `${quotePath(["plugins", uri])} is no table: write [${quotePath(["plugins", uri])}]`;
      report({ severity: "error", at: section.at, message });
    } else if (schema !== undefined) readTable(schema.fields, section, ["plugins", uri], report);
  }
  for (const key of ["disabled_plugins", "required_plugins"]) {
    const list = tree.entries.get(key);
    if (list?.kind !== "list") continue;
    for (const item of list.items) {
      if (item.kind !== "string") continue;
      if (!item.value.includes(".")) {
        const message = `${key}: "${item.value}" is no name of a plugin: want its type and id, such as ` +
          `"io.containerd.snapshotter.v1.native"`;
        report({ severity: "error", at: item.at, message });
      } else if (!isKnown(item.value)) {
        report({ severity: "problem", at: item.at, message: `${key}: ${unknown(item.value)}` });
      }
    }
  }
}
