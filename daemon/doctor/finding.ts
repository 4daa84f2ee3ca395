/**
 * What the doctor finds in a root.
 *
 * @module
 */

/** One thing that is not as it should be. */
export interface Finding {
  /** What kind of trouble it is. */
  readonly kind:
    | "damaged database"
    | "missing blob"
    | "truncated blob"
    | "corrupt blob"
    | "unknown blob file"
    | "missing snapshot"
    | "damaged snapshot"
    | "dangling reference"
    | "leftover";
  /** The object or file, as a person reads it. */
  readonly what: string;
  /** What is wrong with it, and what that means. */
  readonly problem: string;
  /** What a repair does about it; none: only a person can. */
  readonly remedy?: string;
  /** The object, for the repair. */
  readonly object?: { readonly namespace: string; readonly kind: string; readonly key: string };
  /** The file, for the repair. */
  readonly path?: string;
  /** Whether the repair sets the file aside instead of removing it. Default false. */
  readonly keep?: boolean;
}
