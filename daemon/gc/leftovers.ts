/**
 * What a daemon that was killed has left in the root's directories.
 *
 * @module
 */
import { removeLeftovers } from "../content/leftovers.ts";
import { stockDatabase } from "../root_lock.ts";
import type { Stores } from "../store.ts";

/** Whose name does not matter: what lies in the directories is of all namespaces. */
const anyNamespace = "default";

/**
 * Puts back what was about to be deleted and still has its row. Before anybody is served, as a blob would be missing, and
 * before the trash is emptied. Throws what the disk throws.
 */
export async function restoreInterrupted(stores: Stores): Promise<void> {
  await stores.of(anyNamespace).content.restoreInterrupted();
}

/**
 * Removes files and directories that no row names, and what lies in the trash. Others of this process may work meanwhile.
 * Blobs of a stock containerd's root stay, as its own database may name them. Throws the signal's reason, and the first
 * error after everything else was removed.
 */
export async function discardLeftovers(stores: Stores, signal: AbortSignal): Promise<void> {
  const { content, snapshotters, trash } = stores.of(anyNamespace);
  const { directory } = content.files;
  const steps = [
    ...[...snapshotters.values()].map((snapshotter) => () => snapshotter.discardLeftovers()),
    ...(isStock(stores.root) ? [] : [() => removeLeftovers(stores.database, directory, trash, signal)]),
    () => trash.empty({ again: true }),
  ];
  const errors: unknown[] = [];
  for (const step of steps) {
    signal.throwIfAborted();
    try {
      await step();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

function isStock(root: string): boolean {
  try {
    Deno.lstatSync(`${root}/${stockDatabase}`);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
