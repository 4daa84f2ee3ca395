/**
 * What a pull tells about itself.
 *
 * @module
 */

/** Where a layer is: `exists` means that it was there before. */
export type LayerState = "waiting" | "downloading" | "unpacking" | "done" | "exists";

/** The image's name has been turned into the digest of what will be pulled. */
export interface ResolvedEvent {
  readonly kind: "resolved";
  readonly name: string;
  readonly digest: string;
}

/** A layer has got further. `offset` and `total` are bytes of the current state's work; a `total` of 0 is unknown. */
export interface LayerEvent {
  readonly kind: "layer";
  readonly digest: string;
  readonly state: LayerState;
  readonly offset: number;
  readonly total: number;
}

/** One step of a pull, for whoever shows it. */
export type ProgressEvent = ResolvedEvent | LayerEvent;
