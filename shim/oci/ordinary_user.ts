/**
 * Who the runtime runs as.
 *
 * @module
 */

/** Whether this process is not root. Root of a user namespace is root here: it may do there what others may not. */
export function isOrdinaryUser(): boolean {
  return Deno.uid() !== 0;
}
