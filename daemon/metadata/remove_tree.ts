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
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    const { removeStubbornTree } = await import("./remove_stubborn_tree.ts");
    await removeStubbornTree(path);
  }
}
