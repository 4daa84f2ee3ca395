/**
 * What a pull tells about itself.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import type { Descriptor } from "../../api/oci/image_spec.ts";

/**
 * - `waiting`: nothing is done for it yet;
 * - `downloading`: `offset` of `total` bytes are here, and are unpacked as they come;
 * - `unpacking`: all bytes are here;
 * - `done`: it is a snapshot;
 * - `exists`: it was one before.
 */
export type LayerState = "waiting" | "downloading" | "unpacking" | "done" | "exists";

/** A layer has got further. Bytes are those of the compressed blob. */
export interface LayerProgress {
  readonly kind: "layer";
  readonly digest: Digest;
  readonly state: LayerState;
  readonly offset: number;
  readonly total: number;
}

/** A blob that is only stored has got further: a document, or a layer that is not unpacked here. */
export interface BlobProgress {
  readonly kind: "blob";
  readonly descriptor: Descriptor;
  readonly state: "waiting" | "downloading" | "done" | "exists";
  readonly offset: number;
}

/** An index or manifest has been read, and these of its children are wanted. */
export interface TreeProgress {
  readonly kind: "tree";
  readonly parent: Descriptor;
  readonly children: readonly Descriptor[];
}

/** The store has a new blob. */
export interface StoredProgress {
  readonly kind: "stored";
  readonly digest: Digest;
  readonly size: number;
}

/** The store has a snapshot more, or one less that was not committed. */
export interface SnapshotProgress {
  readonly kind: "snapshot";
  readonly did: "prepare" | "commit" | "remove";
  readonly snapshotter: string;
  readonly key: string;
  /** Of a new one; empty without. */
  readonly parent: string;
  /** Of a committed one. */
  readonly name: string;
}

/** One event. */
export type PullProgress =
  | { readonly kind: "resolved"; readonly name: string; readonly digest: Digest }
  | LayerProgress
  | BlobProgress
  | TreeProgress
  | StoredProgress
  | SnapshotProgress;

/** Takes the events. It must be quick and must not throw. */
export type ProgressListener = (event: PullProgress) => void;
