/**
 * What the tree worker can do, and how it is done.
 *
 * @module
 */
import { removalSteps } from "../../ffi/remove_tree.ts";
import { diskFailure } from "../metadata/disk_failure.ts";
import type { Usage } from "./snapshotter.ts";

/** Work on a whole tree. Paths are absolute. */
export type TreeJob =
  | { readonly kind: "copy"; readonly from: string; readonly to: string }
  | { readonly kind: "usage"; readonly path: string; readonly base?: string | undefined }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "make subvolume"; readonly path: string; readonly from?: string | undefined }
  | { readonly kind: "remove subvolume"; readonly path: string };

/** What the jobs give: {@link Usage} of a `usage`, else nothing. */
export type TreeResult = Usage | undefined;

/** Performs a job, on whichever thread; `check` is called now and then, and ends it by throwing. */
export async function performTreeJob(job: TreeJob, check: () => void): Promise<TreeResult> {
  const { place, action } = describe(job);
  try {
    switch (job.kind) {
      case "copy":
        return void await (await import("./copy_tree.ts")).copyTree(job.from, job.to, check);
      case "usage":
        return await (await import("./usage.ts")).treeUsage(job.path, { base: job.base, check });
      case "remove":
        return void await remove(job.path, check);
      case "make subvolume": {
        const { makeSubvolume } = await import("./btrfs_ioctl.ts");
        return makeSubvolume(job.path, job.from);
      }
      case "remove subvolume": {
        const { removeSubvolume } = await import("./btrfs_ioctl.ts");
        return removeSubvolume(job.path);
      }
    }
  } catch (error) {
    throw diskFailure(error, action, place);
  }
}

/** Removals between two looks at the messages: each step is a directory, or some hundred files. */
const stepsPerTurn = 100;

async function remove(path: string, check: () => void): Promise<void> {
  let steps = 0;
  for (const _ of removalSteps(path)) {
    if (++steps % stepsPerTurn !== 0) continue;
    await new Promise((resolve) => setTimeout(resolve, 0));
    check();
  }
}

function describe(job: TreeJob): { action: string; place: string } {
  switch (job.kind) {
    case "copy":
      return { action: "copy the parent snapshot", place: job.to };
    case "usage":
      return { action: "measure a snapshot", place: job.path };
    case "remove":
      return { action: "remove a tree", place: job.path };
    case "make subvolume":
      return { action: "make a subvolume", place: job.path };
    case "remove subvolume":
      return { action: "remove a subvolume", place: job.path };
  }
}
