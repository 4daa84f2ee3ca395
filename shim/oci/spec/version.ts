/**
 * The version of the runtime specification.
 *
 * @module
 */

/** What barge writes as `ociVersion`, in specs and states. Everything of it that is not supported is refused by name. */
export const specVersion = "1.2.1";
