/**
 * What differs between snapshotters that keep each snapshot in a directory of its own.
 *
 * @module
 */
import type { Mount, SnapshotKind } from "./snapshotter.ts";

/** One way to make root file systems of directories. It knows directories only: names, rows and locks are not its. */
export interface SnapshotForm {
  readonly name: string;
  readonly layers: "overlay" | "plain";
  readonly rebases: boolean;
  /** The directory of a snapshot's own files. */
  files(directory: string): string;
  /** Fills the new, empty directory of a snapshot; `parent` is the parent's directory. */
  fill(directory: string, kind: "active" | "view", parent: string | undefined): Promise<void> | void;
  /** The mounts of an active snapshot or view; `parents` are directories, nearest first. */
  mounts(directory: string, kind: Exclude<SnapshotKind, "committed">, parents: readonly string[]): Mount[];
}

/** The mount of a directory as it is. */
export function bindMount(source: string, access: "ro" | "rw", order: "access first" | "rbind first"): Mount {
  return { type: "bind", source, options: order === "access first" ? [access, "rbind"] : ["rbind", access] };
}
