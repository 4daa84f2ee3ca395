/**
 * The order in which plugins are constructed.
 *
 * @module
 */
import { type AnyPlugin, uriOf } from "./plugin.ts";

/**
 * Everything but the disabled, each after what it requires, else in the order of the table: depth-first, as containerd
 * does. A disabled plugin is as absent as one that was never there. Throws for a table that is wrong in itself: a URI
 * twice, or plugins that wait for each other.
 */
export function orderPlugins(table: readonly AnyPlugin[], disabled: ReadonlySet<string>): AnyPlugin[] {
  const present = new Map<string, AnyPlugin>();
  for (const plugin of table) {
    const uri = uriOf(plugin);
    if (present.has(uri)) throw new Error(`the table of plugins has "${uri}" twice`);
    present.set(uri, plugin);
  }
  for (const uri of disabled) present.delete(uri);
  const ordered = new Set<AnyPlugin>();
  const entered: AnyPlugin[] = [];
  const visit = (plugin: AnyPlugin) => {
    if (ordered.has(plugin)) return;
    if (entered.includes(plugin)) {
      const circle = [...entered.slice(entered.indexOf(plugin)), plugin].map(uriOf).join(" → ");
      throw new Error(`plugins wait for each other: ${circle}`);
    }
    entered.push(plugin);
    for (const required of plugin.requires) {
      for (const other of present.values()) {
        if (other === plugin) continue;
        // Several may want to be last: among these the table decides.
        if (required === "*" ? !other.requires.includes("*") : other.type.name === required.name) visit(other);
      }
    }
    entered.pop();
    ordered.add(plugin);
  };
  for (const plugin of present.values()) visit(plugin);
  return [...ordered];
}
