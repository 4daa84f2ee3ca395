/**
 * What a pull tells about itself.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";

/**
 * - `waiting`: nothing is done for it yet;
 * - `downloading`: `offset` of `total` bytes are here, and are unpacked as they come;
 * - `unpacking`: all bytes are here;
 * - `done`: it is a snapshot;
 * - `exists`: it was one before.
 */
export type LayerState = "waiting" | "downloading" | "unpacking" | "done" | "exists";

/** One event: the root is known, or a layer has got further. Bytes are those of the compressed blob. */
export type PullProgress =
  | { readonly kind: "resolved"; readonly name: string; readonly digest: Digest }
  | {
    readonly kind: "layer";
    readonly digest: Digest;
    readonly state: LayerState;
    readonly offset: number;
    readonly total: number;
  };

/** Takes the events. It must be quick and must not throw. */
export type ProgressListener = (event: PullProgress) => void;
