/**
 * Removing what a mark found dead, in small transactions, each object looked at again.
 *
 * Between the mark and the removal others work: an object may have got a new reference, a lease, a label. So a transaction
 * walks the references to each of its objects backwards, and only what leads to nothing that lives is removed.
 *
 * @module
 */
import { parseDigest } from "../../api/digest.ts";
import type { Undo } from "../metadata/database.ts";
import type { Stores } from "../store.ts";
import { isRoot, referencesTo } from "./keepers.ts";
import type { Marks } from "./mark.ts";
import type { DeadObject, ObjectName } from "./reader.ts";

/** What a sweep did. */
export interface Swept {
  readonly removed: readonly DeadObject[];
  /** What could not be removed, and why; the rest was. */
  readonly failed: readonly { readonly object: DeadObject; readonly error: unknown }[];
}

/** Objects in one transaction: a few milliseconds. */
const batchMax = 32;
/** After so many milliseconds others have their turn, which the end of a transaction alone does not give them. */
const turnMs = 10;

const nameOf = ({ namespace, kind, key }: ObjectName) => JSON.stringify([namespace, kind, key]);

/** Removes the objects that are still dead. `markedAt` is when the mark was made, in milliseconds since 1970. */
export async function sweep(
  stores: Stores,
  { dead, flat }: Pick<Marks, "dead" | "flat">,
  markedAt: number,
  signal: AbortSignal,
): Promise<Swept> {
  const marked: Marked = { dead: new Set(dead.map(nameOf)), flat: new Set(flat.map(nameOf)), markedAt };
  const removed: DeadObject[] = [];
  const failed: { object: DeadObject; error: unknown }[] = [];
  const ingestNamespaces = new Set<string>();
  let turn = performance.now();
  for (let start = 0; start < dead.length; start += batchMax) {
    if (performance.now() - turn > turnMs) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      turn = performance.now();
    }
    signal.throwIfAborted();
    const outcomes = await Promise.allSettled(
      dead.slice(start, start + batchMax).map((object) => {
        if (object.kind === "ingest") {
          ingestNamespaces.add(object.namespace);
          return Promise.resolve(undefined);
        }
        // One mutation each: what fails takes back only itself, and the commit is one for all.
        return stores.database.transaction((undo) => {
          return isKept(stores, object, marked) ? undefined : { clean: removeInside(stores, object, undo) };
        }, { frees: true });
      }),
    );
    for (const [index, outcome] of outcomes.entries()) {
      const object = dead[start + index]!;
      if (outcome.status === "rejected") failed.push({ object, error: outcome.reason });
      else if (outcome.value !== undefined) removed.push(object);
    }
    for (const [index, outcome] of outcomes.entries()) {
      const object = dead[start + index]!;
      try {
        if (outcome.status === "fulfilled") await outcome.value?.clean?.();
      } catch (error) {
        failed.push({ object, error });
      }
    }
  }
  for (const namespace of ingestNamespaces) {
    try {
      await stores.of(namespace).content.discardExpiredIngests();
    } catch (error) {
      failed.push({ object: { namespace, kind: "ingest", key: "" }, error });
    }
  }
  // What was removed may have left room for what its removal has spent.
  stores.database.refillReserve();
  return { removed, failed };
}

/** What the mark found, by name. */
interface Marked {
  readonly dead: ReadonlySet<string>;
  readonly flat: ReadonlySet<string>;
  readonly markedAt: number;
}

/** Whether something that lives leads to the object by now. */
function isKept({ database }: Stores, object: DeadObject, { dead, flat, markedAt }: Marked): boolean {
  const now = Date.now();
  const seen = new Set<string>();
  // "labelled": the way from there to the object goes through a label, which flat leases do not follow.
  const queue: { at: ObjectName; labelled: boolean }[] = [{ at: object, labelled: false }];
  for (const { at, labelled } of queue) {
    const counts = !(labelled && flat.has(nameOf(at)));
    if ((counts && isRoot(database, at, now)) || wasUsed(database, at, markedAt)) return true;
    for (const { from, name } of referencesTo(database, at)) {
      const known = nameOf(from);
      const through = labelled || name.startsWith("containerd.io/");
      if (!dead.has(known) && !(through && flat.has(known))) return true;
      const state = `${through} ${known}`;
      if (!seen.has(state)) queue.push({ at: from, labelled: through });
      seen.add(state);
    }
  }
  return false;
}

/** Whether a snapshot's time of use, which conditional references look at, was set since. */
function wasUsed(database: Stores["database"], { namespace, kind, key }: ObjectName, markedAt: number): boolean {
  if (kind !== "snapshot") return false;
  const row = database.get<{ value: string }>(
    "SELECT value FROM labels WHERE namespace = ? AND kind = 'snapshot' AND key = ? " +
      "AND label = 'containerd.io/gc.cond.value-usedat'",
    namespace,
    key,
  );
  return row !== undefined && Date.parse(row.value) >= markedAt;
}

function removeInside(stores: Stores, object: DeadObject, undo: Undo): (() => Promise<void>) | undefined {
  const store = stores.of(object.namespace);
  switch (object.kind) {
    case "lease":
      store.leases.deleteInside(object.key);
      return undefined;
    case "image":
      store.images.deleteInside(object.key);
      return undefined;
    case "content":
      return store.content.deleteInside(parseDigest(object.key), undo);
    case "snapshot": {
      const slash = object.key.indexOf("/");
      return store.snapshotter(object.key.slice(0, slash)).removeInside(object.key.slice(slash + 1));
    }
    case "ingest":
      return undefined;
  }
}
