/**
 * The migrations of single plugins; each can be repeated without harm.
 *
 * @module
 */
import { mergePlugins } from "./merge.ts";
import { openTable, stringLeaf, type Table, tableAt, textsOf } from "./tree.ts";

/** Old URI → new URI, with the same keys. */
const renamed: readonly (readonly [old: string, current: string])[] = [
  ["io.containerd.monitor.v1.cgroups", "io.containerd.monitor.task.v1.cgroups"],
  ["io.containerd.internal.v1.restart", "io.containerd.monitor.container.v1.restart"],
];

/** Performs all of them but CRI's. */
export function migratePlugins(tree: Table): void {
  for (const [old, current] of renamed) rename(tree, old, current);
  moveCoreScheduling(tree);
}

/** What is already written for the new name wins. Lists that name the plugin follow, so that it stays disabled. */
function rename(tree: Table, old: string, current: string): void {
  const plugins = tableAt(tree, "plugins");
  const section = plugins?.entries.get(old);
  if (plugins !== undefined && section !== undefined) {
    plugins.entries.delete(old);
    const existing = plugins.entries.get(current);
    plugins.entries.set(current, existing === undefined ? section : mergePlugins(section, existing));
  }
  for (const key of ["disabled_plugins", "required_plugins"]) {
    const list = tree.entries.get(key);
    if (list?.kind !== "list") continue;
    const items = list.items.map((item) =>
      item.kind === "string" && item.value === old ? { ...item, value: current } : item
    );
    tree.entries.set(key, { ...list, items });
  }
}

/** `sched_core = true` of the runtime is an environment variable of its shims. */
function moveCoreScheduling(tree: Table): void {
  const runtime = tableAt(tree, "plugins", "io.containerd.runtime.v2.task");
  const flag = runtime?.entries.get("sched_core");
  // What is no boolean stays, and is reported as unknown.
  if (runtime === undefined || flag?.kind !== "bool") return;
  runtime.entries.delete("sched_core");
  if (!flag.value) return;
  const manager = openTable(tree, ["plugins", "io.containerd.shim.v1.manager"], flag.at);
  const env = manager?.entries.get("env");
  if (manager === undefined || textsOf(env).some((entry) => entry.startsWith("SCHED_CORE="))) return;
  const added = stringLeaf("SCHED_CORE=1", flag.at);
  manager.entries.set("env", { kind: "list", items: [...env?.kind === "list" ? env.items : [], added], at: flag.at });
}
