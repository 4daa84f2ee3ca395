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
    return `there is no plugin ${quotePath([uri])}${
      nearest === undefined ? "" : `: did you mean ${quotePath([nearest])}?`
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
    for (const item of list?.kind === "list" ? list.items : []) {
      // What is no string was reported with the daemon's own keys.
      if (item.kind !== "string") continue;
      const { at, value } = item;
      if (!value.includes(".")) {
        const want = `want its type and id, such as "io.containerd.snapshotter.v1.native"`;
        report({ severity: "error", at, message: `${key}: "${value}" is no name of a plugin: ${want}` });
      } else if (!isKnown(value)) {
        // Without what is required the daemon ends; what is not there is disabled anyway.
        const severity = key === "required_plugins" ? "error" : "problem";
        report({ severity, at, message: `${key}: ${unknown(value)}` });
      } else if (key === "required_plugins" && known.foreign.has(value)) {
        report({ severity: "error", at, message: `${key}: this daemon has no plugin ${quotePath([value])}` });
      }
    }
  }
  checkProxies(tree, report);
}

/** What a proxy may stand for. */
const proxyTypes: ReadonlySet<string> = new Set([
  "snapshot",
  "content",
  "sandbox",
  "diff",
  "io.containerd.snapshotter.v1",
  "io.containerd.content.v1",
  "io.containerd.sandbox.controller.v1",
  "io.containerd.differ.v1",
]);

function checkProxies(tree: Table, report: Report): void {
  for (const [id, proxy] of tableAt(tree, "proxy_plugins")?.entries ?? []) {
    if (proxy.kind !== "table") continue;
    const type = proxy.entries.get("type");
    if (type?.kind === "string" && proxyTypes.has(type.value)) continue;
    // Wrong kinds of values were reported with the daemon's own keys.
    if (type !== undefined && type.kind !== "string") continue;
    const given = type === undefined ? "has no type" : `has the type "${type.value}"`;
    const message = `${
      quotePath(["proxy_plugins", id])
    } ${given} and is ignored: want snapshot, content, sandbox or diff`;
    report({ severity: "problem", at: type?.at ?? proxy.at, message });
  }
}
