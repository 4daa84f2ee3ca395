/**
 * How a later file changes what earlier ones say. The rules are containerd's, odd as they are: in the daemon's own fields
 * an empty value says nothing, in plugins it does.
 *
 * @module
 */
import { isZero, type Item, type List, type Table } from "./tree.ts";

/** Tables whose entries are replaced whole. */
const keyed = new Set(["timeouts", "proxy_plugins", "stream_processors"]);

/** A new tree: `base` changed by `over`. Both must be of the current version. */
export function mergeConfig(base: Table, over: Table): Table {
  const entries = new Map(base.entries);
  for (const [key, item] of over.entries) {
    const former = entries.get(key);
    if (former === undefined) entries.set(key, item);
    else if (key === "plugins") entries.set(key, mergePlugins(former, item));
    else if (keyed.has(key) && former.kind === "table" && item.kind === "table") {
      entries.set(key, { ...item, entries: new Map([...former.entries, ...item.entries]) });
    } else entries.set(key, mergeField(former, item));
  }
  return { ...base, entries };
}

/** Tables in plugins: key by key and down; everything else, empty or not, replaces. */
export function mergePlugins(base: Item, over: Item): Item {
  if (base.kind !== "table" || over.kind !== "table") return over;
  const entries = new Map(base.entries);
  for (const [key, item] of over.entries) {
    const former = entries.get(key);
    entries.set(key, former === undefined ? item : mergePlugins(former, item));
  }
  // The place of a table is where it is first written, unless that is nowhere.
  return { ...base, at: base.at.line === 0 ? over.at : base.at, entries };
}

/** One of the daemon's own fields. */
function mergeField(base: Item, over: Item): Item {
  if (base.kind === "table" && over.kind === "table") {
    const entries = new Map(base.entries);
    for (const [key, item] of over.entries) {
      const former = entries.get(key);
      entries.set(key, former === undefined ? item : mergeField(former, item));
    }
    return { ...base, at: base.at.line === 0 ? over.at : base.at, entries };
  }
  if (base.kind === "list" && over.kind === "list") return unite(base, over);
  return isZero(over) ? base : over;
}

/** Both lists without repetitions, in order. */
function unite(base: List, over: List): List {
  const texts = new Set(base.items.map(keyOf));
  const added = over.items.filter((item) => !texts.has(keyOf(item)));
  return { ...(base.items.length === 0 ? over : base), items: [...base.items, ...added] };
}

/** Lists of the daemon's own fields hold texts; something else is equal to nothing but itself. */
function keyOf(item: Item): unknown {
  return item.kind === "string" ? item.value : item;
}
