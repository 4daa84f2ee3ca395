/**
 * What a mounting worker is asked to do.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { isErrno } from "../../ffi/errno.ts";
import { removeDirectoryAt } from "../../ffi/files.ts";
import { mountAll, type MountPart, unmountAll } from "./perform.ts";

/** One step of an activation, or the end of one. */
export type MountJob =
  | { readonly kind: "mount"; readonly mount: MountPart; readonly target: string }
  | {
    readonly kind: "unmount";
    /** In the order in which they are undone; missing ones are passed over. */
    readonly targets: readonly string[];
    /** Removed after them, where it is empty then. */
    readonly directory?: string;
  };

/** Performs a job on this thread. Throws {@link Failure} and `SyscallError`. */
export function performMountJob(job: MountJob): void {
  if (job.kind === "mount") {
    Deno.mkdirSync(job.target, { mode: 0o700 });
    return mountAll([job.mount], job.target);
  }
  for (const target of job.targets) {
    unmountAll(target);
    removeEmpty(target);
  }
  if (job.directory !== undefined) removeEmpty(job.directory);
}

/** Never more than a directory: what is in it would be somebody's file system. */
function removeEmpty(path: string): void {
  try {
    removeDirectoryAt(flags("AT_FDCWD"), path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}
