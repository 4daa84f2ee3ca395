/**
 * What a snapshotter is.
 *
 * @module
 */
import type { FileLock } from "../leases/file_lock.ts";
import type { Labels } from "../metadata/label_refs.ts";

/** One mount, as mount(2) or a runtime takes it; `options` are as in fstab. */
export interface Mount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** See {@link Snapshotter}. */
export type SnapshotKind = "active" | "view" | "committed";

/** A snapshot as stored. Times are milliseconds since 1970. */
export interface SnapshotInfo {
  readonly key: string;
  readonly kind: SnapshotKind;
  /** Key of the committed snapshot that it stands on. */
  readonly parent?: string;
  readonly created: number;
  readonly updated: number;
  readonly labels: Labels;
}

/** Disk that one snapshot takes without its parents: bytes of disk blocks, and inodes. */
export interface Usage {
  readonly size: number;
  readonly inodes: number;
}

/** Options of {@link Snapshotter.prepare} and {@link Snapshotter.view}. */
export interface PrepareOptions {
  /** Key of a committed snapshot; without one the snapshot begins empty. */
  readonly parent?: string;
  /** Those that begin with `containerd.io/snapshot` may have a meaning, see {@link targetLabel}. */
  readonly labels?: Labels;
  /** The lease that keeps it. */
  readonly lease?: string | undefined;
  /** Ends the work; nothing is made then. */
  readonly signal?: AbortSignal;
}

/**
 * A label of {@link Snapshotter.prepare} with the name that the snapshot will have once it is committed: where that is
 * there already, the caller is told before it works for nothing.
 */
export const targetLabel = "containerd.io/snapshot.ref";

/** Options of {@link Snapshotter.commit}. */
export interface CommitOptions {
  /** Labels of the committed snapshot; those of the active one are not inherited. */
  readonly labels?: Labels;
  /**
   * Puts an active snapshot that was prepared without a parent onto one; only where {@link Snapshotter.rebases}. For one
   * that has a parent it means nothing.
   */
  readonly parent?: string;
  /** Holds the name from then on. No lease holds the key any more. */
  readonly lease?: string | undefined;
  readonly signal?: AbortSignal;
}

/**
 * Root file systems as layers over layers.
 *
 * A snapshot has a key, and begins in one of two ways. `prepare` makes an **active** one: a writable copy of its parent,
 * or of nothing. `view` makes a **view**: the same, but read-only. Both have mounts, which the caller performs and
 * undoes; the snapshotter itself mounts nothing. What was written through the mounts belongs to the active snapshot.
 *
 * `commit` turns an active snapshot into a **committed** one under another key (its name): the active key is gone, the
 * content never changes again, and it can be a parent. Only committed ones can. Keys of all kinds share one space.
 *
 * So an image is unpacked by a prepare, an apply and a commit for each layer, each on the one before, under the
 * chain id as name; and a container runs in an active snapshot on the last.
 *
 * `remove` ends any snapshot that is nobody's parent. Its files are gone for others at once.
 *
 * Snapshots without a name that refers to them (a container, an image's config, a lease) are garbage.
 *
 * All methods throw `NotFound` for a key that does not exist, unless they say otherwise.
 */
export interface Snapshotter {
  /** Such as `overlayfs`. */
  readonly name: string;
  /** How a layer is to be applied to {@link layerDirectory}: `overlay` keeps whiteouts, `plain` performs them. */
  readonly layers: "overlay" | "plain";
  /** Whether layers can be applied each on its own and put onto their parent at commit. */
  readonly rebases: boolean;
  /** Makes an active snapshot. Throws `AlreadyExists` (under the lease then), `InvalidArgument` for a bad parent. */
  prepare(key: string, options?: PrepareOptions): Promise<Mount[]>;
  /** Makes a view. Throws as {@link prepare}. */
  view(key: string, options?: PrepareOptions): Promise<Mount[]>;
  /** The mounts of an active snapshot or view, as `prepare` gave them. Throws `FailedPrecondition` if committed. */
  mounts(key: string): Promise<Mount[]>;
  /**
   * Commits the active snapshot `key` as `name`. Throws, in this order, `Unknown` for an empty name, `AlreadyExists` where
   * the name is taken (under the lease then; the active one stays), `FailedPrecondition` where the key is not active.
   */
  commit(key: string, name: string, options?: CommitOptions): Promise<void>;
  /** Removes it and its files. Throws `FailedPrecondition` where it has children. */
  remove(key: string): Promise<void>;
  /**
   * As {@link remove}, but its files are removed in the background; {@link settled} waits for them. Whoever is killed
   * before leaves them to {@link cleanup}.
   */
  removeSoon(key: string, signal?: AbortSignal): Promise<void>;
  /** Waits for what was removed in the background. */
  settled(): Promise<void>;
  /** Removes what is left of removed snapshots. */
  cleanup(): Promise<void>;
  /** The snapshot, or undefined. */
  find(key: string): Promise<SnapshotInfo | undefined>;
  /** A committed one goes under the lease, if there is such a one: who was told that it exists may build on it. */
  stat(key: string, lease?: string): Promise<SnapshotInfo>;
  /** Disk that it takes, of an active one as of now; a view takes none. Throws `DataLoss` where its files are gone. */
  usage(key: string, signal?: AbortSignal): Promise<Usage>;
  /** Replaces the labels by what `change` makes of them, and gives the snapshot as it is then. */
  update(key: string, change: (info: SnapshotInfo) => Labels, signal?: AbortSignal): Promise<SnapshotInfo>;
  /** All snapshots, in byte order of their keys, page by page. */
  pages(signal?: AbortSignal): AsyncGenerator<SnapshotInfo[]>;
  /** All snapshots, in byte order of their keys. */
  list(): Promise<SnapshotInfo[]>;
  /** The directory that its files are in: for applying a layer to an active snapshot without mounting it. */
  layerDirectory(key: string): Promise<string>;
  /** The directories of its parents' files, nearest first. */
  parentDirectories(key: string): Promise<string[]>;
  /**
   * Locks a snapshot for as long as its file system is in use, so that nobody else uses it (two overlays on one upper
   * directory destroy it, and the kernel only warns), and so that others see whether its user lives. Throws `Unavailable`
   * where another has it.
   */
  lockSnapshot(key: string): Promise<FileLock>;
}
