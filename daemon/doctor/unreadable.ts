/**
 * Files that a disk does not give back.
 *
 * @module
 */

/** Whether reading failed as the disk cannot give what was written to it. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EIO";
}
