/**
 * The version of barge.
 *
 * @module
 */

/** Semantic version; `deno.json` has the same. */
export const version = "0.1.0";
