/**
 * Removing the trees that containers leave.
 *
 * @module
 */

/**
 * Removes a file or a whole tree; a missing one is fine. The path's parent must be a directory that only barge writes
 * to, as {@link Trash} is: it may be used for the tree's parts.
 *
 * Copes with trees deeper than a process may have files open or a path may be long, and with files that a container
 * made immutable. Symbolic links are removed and never followed. Throws where something is mounted in the tree.
 *
 * The ordinary way runs on a thread of Deno's own, the other one on the tree worker: the caller's event loop stays free.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    const { onTreeWorker } = await import("../snapshots/tree_work.ts");
    await onTreeWorker({ kind: "remove", path });
  }
}
