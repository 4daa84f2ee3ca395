/**
 * Removing the trees that containers leave.
 *
 * @module
 */
import { removalSteps } from "../../ffi/remove_tree.ts";
import { diskFailure } from "./disk_failure.ts";

/** What the calling thread removes itself, in some milliseconds: a thread of its own takes 15 to start. */
const stepsMax = 300;
const bytesMax = 8 << 20;

/** Steps between two turns of the event loop where there is no other thread. */
const stepsPerTurn = 200;

/** Options of {@link removeTree}. */
export interface RemoveTreeOptions {
  /** Whether large trees too are removed on the calling thread: a command that ends then needs no other one. Default: no. */
  readonly here?: boolean;
}

/**
 * Removes a file or a whole tree; a missing one is fine. Copes with trees deeper than a path may be long, and with files
 * that a container made immutable. Symbolic links are removed and never followed, and no mount is entered: throws
 * `MountInTheWay` after everything else was removed, else what the disk says.
 *
 * Small trees are removed where the caller is, the rest of larger ones by the tree worker: the event loop stays free.
 */
export async function removeTree(path: string, { here = false }: RemoveTreeOptions = {}): Promise<void> {
  if (here) return await removeHere(path);
  if (removeSmall(path)) return;
  const { onTreeWorker } = await import("../snapshots/tree_work.ts");
  await onTreeWorker({ kind: "remove", path });
}

async function removeHere(path: string): Promise<void> {
  let steps = 0;
  try {
    for (const _ of removalSteps(path)) {
      if (++steps % stepsPerTurn === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  } catch (error) {
    throw diskFailure(error, "remove a tree", path);
  }
}

/** Begins the removal; false where it is more than an event loop should wait for. */
function removeSmall(path: string): boolean {
  let steps = 0, bytes = 0;
  try {
    for (const size of removalSteps(path, { measured: true })) {
      if (++steps > stepsMax || (bytes += size) > bytesMax) return false;
    }
    return true;
  } catch (error) {
    throw diskFailure(error, "remove a tree", path);
  }
}
