/**
 * What differs between snapshotters that keep each snapshot in a directory of its own.
 *
 * @module
 */
import type { Labels } from "../metadata/label_refs.ts";
import type { Mount, SnapshotKind, Usage } from "./snapshotter.ts";

/** A snapshot that is to be filled or mounted. */
export interface FormSnapshot {
  /** The directory that holds it. */
  readonly directory: string;
  readonly kind: Exclude<SnapshotKind, "committed">;
  /** Directories of its parents, nearest first. */
  readonly parents: readonly string[];
  readonly labels: Labels;
}

/** One way to make root file systems of directories. It knows directories only: names, rows and locks are not its. */
export interface SnapshotForm {
  readonly name: string;
  readonly layers: "overlay" | "plain";
  readonly rebases: boolean;
  /** What containerd's text says could not be had where a committed snapshot was asked for its mounts. */
  readonly mountName: "active mount" | "snapshot mount" | "active snapshot";
  /** Whether a view on a snapshot has nothing in its own directory, and does without it. Default: no. */
  readonly viewsAreParents?: true;
  /** The directory of a snapshot's own files. */
  files(directory: string): string;
  /**
   * Fills the new, empty directory of a snapshot. Throws `FailedPrecondition` where its labels ask for what cannot be
   * done here. Rejects with the signal's reason.
   */
  fill(snapshot: FormSnapshot, signal: AbortSignal): Promise<void> | void;
  /** The mounts of an active snapshot or view. */
  mounts(snapshot: FormSnapshot): Mount[];
  /** Labels that every snapshot shows besides its own. */
  labels?(directory: string): Labels;
  /** Disk that it takes without its parents. Default: its files. */
  usage?(directory: string, parent: string | undefined, signal: AbortSignal): Promise<Usage>;
  /** What is to be done before the directory's tree is removed; it lies in the trash by then. Default: nothing. */
  discard?(directory: string): Promise<void>;
}

/** The mount of a directory as it is. */
export function bindMount(source: string, access: "ro" | "rw", order: "access first" | "rbind first"): Mount {
  return { type: "bind", source, options: order === "access first" ? [access, "rbind"] : ["rbind", access] };
}
