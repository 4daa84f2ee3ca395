/**
 * What a layer worker is asked to do, what it answers, and the messages between the two sides.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import type { Code } from "../../api/errors.ts";
import type { MountPart } from "../mounts/perform.ts";
import type { ApplyForm, UnresolvedLink } from "./apply.ts";

/** Where a layer is applied. */
export interface LayerTarget {
  /** An existing directory. */
  dir: string;
  /** "overlay": `dir` is an upper directory, whiteouts become devices and marks; "plain": whiteouts remove. */
  form: ApplyForm;
  /** Mounted at `dir` first, for the worker's thread alone, and gone afterwards. */
  mounts?: readonly MountPart[];
  /** In the overlay form: directories below `dir`, nearest first, with which the layer is settled at once. */
  lowers?: readonly string[];
  /** A path of a file system that is to be on disk when the job is done. */
  sync?: string;
}

/** One layer: where its bytes come from and where they go. */
export interface LayerJob {
  mediaType: string;
  /** Absent: only store and hash. */
  target?: LayerTarget;
  /** Path of the ingest's data file: every chunk is appended there before anything else is done with it. */
  ingestData?: string;
  /** Bytes already in {@link ingestData}: they are read first, as if they came again. What is after them is cut off. */
  offset: number;
  /** Instead of chunks: the whole compressed blob is read from this file. */
  blob?: string;
}

/** What is known of a layer once all its bytes have passed. */
export interface LayerResult {
  /** Digest of the compressed bytes. */
  digest: Digest;
  /** Number of the compressed bytes. */
  size: number;
  /** Digest of the tar archive, everything after its end included; absent without a target. */
  diffId?: Digest;
  /** Number of the archive's bytes, everything after its end included; absent without a target. */
  diffSize?: number;
  /** For `settleLayer()`; empty without a target and in the plain form. */
  impliedDirs: string[];
  /** For `settleLayer()`; empty without a target and in the plain form. */
  unresolvedLinks: UnresolvedLink[];
  /** Sentences about what was left out, each once; absent where nothing was. */
  warnings?: string[];
}

/** To the worker. `id` numbers the jobs, so that late messages of an ended one can be told. */
export type Request =
  | { kind: "start"; id: number; job: LayerJob }
  | { kind: "chunk"; id: number; bytes: Uint8Array }
  | { kind: "finish"; id: number }
  | { kind: "abort"; id: number };

/** From the worker. Every job is answered once by `done`, `failed` or `aborted`. */
export type Reply =
  | { kind: "credit"; id: number; bytes: number }
  | { kind: "progress"; id: number; bytesApplied: number }
  | { kind: "done"; id: number; result: LayerResult }
  | { kind: "failed"; id: number; code: Code; message: string }
  | { kind: "aborted"; id: number };
