/**
 * From version 3 to 4: what the daemon listens on is configured like other plugins.
 *
 * @module
 */
import { emptyTable, isZero, type Item, itemAt, openTable, stringLeaf, type Table, tableAt, textOf } from "./tree.ts";

const servers = "io.containerd.server.v1";

/** Moves `[grpc]`, `[ttrpc]`, `[metrics]` and parts of `[debug]`; no section that exists already is touched. */
export function migrateServers(tree: Table): void {
  const grpc = takeSection(tree, "grpc");
  const ttrpc = takeSection(tree, "ttrpc");
  if (grpc !== undefined) addSections(tree, splitGrpc(grpc));
  addSections(tree, [[`${servers}.ttrpc`, followGrpc(ttrpc ?? emptyTable(grpc?.at), grpc)]]);
  const metrics = takeSection(tree, "metrics");
  if (metrics !== undefined) {
    const histogram = pick(metrics, (key) => key === "grpc_histogram");
    const rest = pick(metrics, (key) => key !== "grpc_histogram");
    addSections(tree, [[`${servers}.metrics`, rest], ["io.containerd.metrics.v1.grpc-prometheus", histogram]]);
  }
  const debug = tableAt(tree, "debug");
  if (debug === undefined) return;
  const moved = new Set(["address", "uid", "gid"]);
  addSections(tree, [[`${servers}.debug`, pick(debug, (key) => moved.has(key))]]);
  for (const key of moved) debug.entries.delete(key);
}

/** TCP has a section of its own, but the same limits of messages. */
function splitGrpc(grpc: Table): [string, Table][] {
  const unix = pick(grpc, (key) => !key.startsWith("tcp_"));
  const tcp = pick(grpc, (key) => key.startsWith("tcp_"), (key) => key.slice("tcp_".length));
  if (tcp.entries.size > 0) {
    for (const [key, item] of grpc.entries) {
      if (key.startsWith("max_") && !isZero(item)) tcp.entries.set(key, item);
    }
  }
  return [[`${servers}.grpc`, unix], [`${servers}.grpc-tcp`, tcp]];
}

/** Up to version 3 ttrpc listened beside gRPC unless told otherwise. */
function followGrpc(ttrpc: Table, grpc: Table | undefined): Table {
  const own = pick(ttrpc, () => true);
  const address = itemAt(grpc ?? emptyTable(), "address");
  const text = textOf(address);
  if (own.entries.has("address") || address === undefined || text === undefined || text === "") return own;
  own.entries.set("address", stringLeaf(`${text}.ttrpc`, address.at));
  for (const key of ["uid", "gid"]) {
    const item = grpc?.entries.get(key);
    if (item !== undefined && !isZero(item) && !own.entries.has(key)) own.entries.set(key, item);
  }
  return own;
}

function takeSection(tree: Table, key: string): Table | undefined {
  const section = tableAt(tree, key);
  // What is no table stays, and is reported.
  if (section !== undefined) tree.entries.delete(key);
  return section;
}

/** The entries that say something. Unknown ones go along, so that they are reported where known ones are. */
function pick(table: Table, wanted: (key: string) => boolean, rename = (key: string) => key): Table {
  const entries = new Map<string, Item>();
  for (const [key, item] of table.entries) {
    if (wanted(key) && !isZero(item)) entries.set(rename(key), item);
  }
  return { ...table, entries };
}

function addSections(tree: Table, sections: readonly (readonly [uri: string, section: Table])[]): void {
  for (const [uri, section] of sections) {
    if (section.entries.size === 0) continue;
    const plugins = openTable(tree, ["plugins"], section.at);
    if (plugins !== undefined && !plugins.entries.has(uri)) plugins.entries.set(uri, section);
  }
}
