/**
 * Whether a path names anything.
 *
 * @module
 */

/** Whether there is a file of any kind, also a link to nothing. Throws what the disk says of anything but its absence. */
export function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
