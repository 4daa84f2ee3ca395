/**
 * From version 1 to 2: short names of plugins become URIs.
 *
 * @module
 */
import { mergePlugins } from "./merge.ts";
import type { Report } from "./read_table.ts";
import { type Item, type Table, tableAt } from "./tree.ts";

/** Short name → type, where the id is the name itself. */
const types: Readonly<Record<string, string>> = {
  cri: "io.containerd.grpc.v1",
  cgroups: "io.containerd.monitor.v1",
  linux: "io.containerd.runtime.v1",
  scheduler: "io.containerd.gc.v1",
  bolt: "io.containerd.metadata.v1",
  task: "io.containerd.runtime.v2",
  opt: "io.containerd.internal.v1",
  restart: "io.containerd.internal.v1",
  tracing: "io.containerd.internal.v1",
  otlp: "io.containerd.tracing.processor.v1",
  aufs: "io.containerd.snapshotter.v1",
  btrfs: "io.containerd.snapshotter.v1",
  devmapper: "io.containerd.snapshotter.v1",
  native: "io.containerd.snapshotter.v1",
  overlayfs: "io.containerd.snapshotter.v1",
  zfs: "io.containerd.snapshotter.v1",
};

/** Names that a snapshotter and a differ share: what was meant is a guess. */
const ambiguous = new Set(["windows", "windows-lcow"]);

/** Renames the sections in `[plugins]`, and the entries of `disabled_plugins` and `required_plugins`. */
export function migrateShortNames(tree: Table, report: Report): void {
  const plugins = tableAt(tree, "plugins");
  for (const [name, section] of [...plugins?.entries ?? []]) {
    const uri = uriOf(name, section, report);
    if (uri === name || plugins === undefined) continue;
    plugins.entries.delete(name);
    const existing = plugins.entries.get(uri);
    plugins.entries.set(uri, existing === undefined ? section : mergePlugins(section, existing));
  }
  for (const key of ["disabled_plugins", "required_plugins"]) {
    const list = tree.entries.get(key);
    if (list?.kind !== "list") continue;
    const items = list.items.map((item) =>
      item.kind === "string" ? { ...item, value: uriOf(item.value, item, report) } : item
    );
    tree.entries.set(key, { ...list, items });
  }
}

function uriOf(name: string, { at }: Item, report: Report): string {
  if (name.includes(".")) return name;
  const known = Object.hasOwn(types, name) ? types[name] : undefined;
  if (known !== undefined) return `${known}.${name}`;
  if (name.endsWith("-service")) return `io.containerd.service.v1.${name}`;
  const type = ambiguous.has(name) ? "io.containerd.snapshotter.v1" : "io.containerd.grpc.v1";
  const uri = `${type}.${name}`;
  report({ severity: "note", at, message: `the short name "${name}" is taken for "${uri}": write the full name` });
  return uri;
}
