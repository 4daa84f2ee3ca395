/**
 * The snapshotter over directories, for every form.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { FileLock } from "../leases/file_lock.ts";
import { diskFailure } from "../metadata/disk_failure.ts";
import { syncFileSystem } from "../metadata/disk_sync.ts";
import { checkLabels, type Labels } from "../metadata/label_refs.ts";
import type { Objects } from "../metadata/objects.ts";
import type { Trash } from "../metadata/trash.ts";
import { foreignMax, type SnapshotRoot, yieldToStrangers } from "./foreign_ids.ts";
import { directoryNumber } from "./directory_number.ts";
import type { SnapshotForm } from "./form.ts";
import { discardLeftovers } from "./leftovers.ts";
import { SnapshotLocks } from "./snapshot_locks.ts";
import { infoOf, type SnapshotRow, SnapshotRows } from "./snapshot_rows.ts";
import {
  type CommitOptions,
  type Mount,
  type PrepareOptions,
  type SnapshotInfo,
  type Snapshotter,
  targetLabel,
  type Usage,
} from "./snapshotter.ts";
import { isThere } from "../../ffi/is_there.ts";

/** Options of {@link DirectorySnapshotter}. */
export interface DirectoryOptions {
  /** Where its directory is not within the root, that directory as configured. Default: empty, within the root. */
  readonly rootPath?: string;
  /** Whether removals wait for the files' end. Default: no. */
  readonly syncRemove?: boolean;
  /** Whether the trash is for this snapshotter only, and it empties it. Default: no. */
  readonly ownsTrash?: boolean;
}

const never = new AbortController().signal;

/**
 * Keeps `snapshots/<id>` for each row, made as `snapshots/new-*` and renamed into place in the transaction that adds the
 * row; and `locks/<id>` for those that were locked.
 */
export class DirectorySnapshotter implements Snapshotter {
  readonly #rows: SnapshotRows;
  readonly #root: SnapshotRoot;
  readonly #locks: SnapshotLocks;
  readonly name: string;
  readonly layers: "overlay" | "plain";
  readonly rebases: boolean;

  /** `trash` is on the same file system as `directory`. */
  constructor(
    private readonly form: SnapshotForm,
    private readonly objects: Objects,
    readonly directory: string,
    private readonly trash: Trash,
    private readonly options: DirectoryOptions = {},
  ) {
    this.name = form.name;
    this.layers = form.layers;
    this.rebases = form.rebases;
    this.#rows = new SnapshotRows(objects, form.name);
    this.#locks = new SnapshotLocks(directory);
    this.#root = { snapshotter: form.name, rootPath: options.rootPath ?? "", directory };
  }

  #place(id: number): string {
    return `${this.directory}/snapshots/${directoryNumber(id)}`;
  }

  #read<T>(body: () => T): Promise<T> {
    return this.objects.database.read(body);
  }

  prepare(key: string, options: PrepareOptions = {}): Promise<Mount[]> {
    return this.#create(key, "active", options);
  }

  view(key: string, options: PrepareOptions = {}): Promise<Mount[]> {
    return this.#create(key, "view", options);
  }

  async #create(key: string, kind: "active" | "view", options: PrepareOptions): Promise<Mount[]> {
    const { labels = {}, signal = never } = options;
    checkLabels(labels, "info.Labels: ");
    // All of this is looked at again inside the transaction.
    if (await this.#read(() => this.#taken(key, labels) !== undefined)) await this.#refuseTaken(key, options);
    const parents = await this.#read(() => this.#parentsOfNew(key, options));
    this.#checkFiles(options.parent, parents[0]);
    let fresh = "";
    let lock: FileLock | undefined;
    try {
      lock = this.#locks.makeFresh();
      fresh = lock.path;
      const filling = this.form.fill({ directory: fresh, kind, parents, labels }, signal);
      if (filling !== undefined) await filling;
      signal.throwIfAborted();
      return await this.#publish(key, kind, options, fresh);
    } catch (error) {
      if (lock !== undefined) await this.#discard(fresh);
      throw diskFailure(error, `prepare snapshot "${key}"`, this.directory);
    } finally {
      lock?.release();
    }
  }

  /** What is there already of what a new snapshot is to be, or to become; and containerd's words for that. */
  #taken(key: string, labels: Labels): { key: string; message: string } | undefined {
    const target = labels[targetLabel];
    if (target !== undefined && target !== "" && this.#rows.find(target) !== undefined) {
      return { key: target, message: `target snapshot "${target}"` };
    }
    return this.#rows.find(key) === undefined ? undefined : { key, message: `snapshot "${key}"` };
  }

  /** Holds what is there already, and throws; returns where it has gone in the meantime. */
  async #refuseTaken(key: string, { labels = {}, lease, signal }: PrepareOptions): Promise<void> {
    const message = await this.objects.database.transaction(() => {
      const taken = this.#taken(key, labels);
      if (taken !== undefined) this.#hold(lease, taken.key);
      return taken?.message;
    }, { durable: false, signal });
    if (message !== undefined) throw new Failure("AlreadyExists", message);
  }

  /** Directories of the parents of a snapshot that is to be made. Throws where there cannot be such a one. */
  #parentsOfNew(key: string, { parent }: PrepareOptions): string[] {
    const row = parent === undefined ? undefined : this.#rows.committedParent(parent);
    if (key === "") throw emptyKey();
    if (row === undefined) return [];
    return [this.#place(row.id), ...this.#parentPlaces(row)];
  }

  #parentPlaces(row: SnapshotRow): string[] {
    return this.#rows.parents(row).map(({ id }) => this.#place(id));
  }

  /** Throws where the directory of a row is gone. */
  #checkFiles(key: string | undefined, place: string | undefined): void {
    if (key === undefined || place === undefined) return;
    try {
      Deno.lstatSync(this.form.files(place));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new Failure(
        "DataLoss",
        `snapshot "${key}" has lost its files: "${
          this.form.files(place)
        }" is gone: remove the snapshot and make it again`,
        { cause: error },
      );
    }
  }

  #hold(lease: string | undefined, key: string): void {
    this.objects.hold(lease, "snapshot", this.#rows.objectKey(key));
  }

  async #publish(key: string, kind: "active" | "view", options: PrepareOptions, fresh: string): Promise<Mount[]> {
    const { parent, labels = {}, lease, signal } = options;
    const outcome = await this.objects.database.transaction((undo) => {
      const taken = this.#taken(key, labels);
      if (taken !== undefined) {
        this.#hold(lease, taken.key);
        return taken.message;
      }
      this.#parentsOfNew(key, options);
      const id = this.#insert(key, kind, parent, labels);
      this.#hold(lease, key);
      const place = this.#place(id);
      Deno.renameSync(fresh, place);
      undo.push(() => Deno.renameSync(place, fresh));
      return this.#mountsOf(this.#rows.get(key));
      // What is written to it is not durable either; the container or the commit that refers to it will be.
    }, { durable: false, signal });
    if (typeof outcome === "string") throw new Failure("AlreadyExists", outcome);
    return outcome;
  }

  /** Adds the row, with an id whose directory is free. */
  #insert(key: string, kind: "active" | "view", parent: string | undefined, labels: Labels): number {
    const { database } = this.objects;
    foreignMax(database, this.#root);
    const id = this.#rows.insert(key, kind, parent, labels);
    if (!isThere(this.#place(id))) return id;
    // A stranger's, or that of a row which a power cut took: nobody can tell, so it stays.
    yieldToStrangers(database, this.#root);
    return this.#rows.renumber(id);
  }

  async #discard(path: string): Promise<void> {
    // Nothing in the database is about it, so there is no transaction that could take it back.
    await this.trash.remove(this.trash.takeOrphan(path));
  }

  #mountsOf(row: SnapshotRow): Mount[] {
    const { kind } = row;
    if (kind === "committed") {
      throw new Failure(
        "FailedPrecondition",
        `failed to get ${this.form.mountName}: requested snapshot ${this.#rows.fullKey(row)} not active or view`,
      );
    }
    const labels = this.#rows.labels(row);
    return this.form.mounts({ directory: this.#place(row.id), kind, parents: this.#parentPlaces(row), labels });
  }

  async mounts(key: string): Promise<Mount[]> {
    return await this.#read(() => {
      const row = this.#rows.get(key);
      const mounts = this.#mountsOf(row);
      const own = this.#place(row.id);
      const used = row.kind === "view" && this.form.viewsAreParents === true ? this.#parentPlaces(row)[0] ?? own : own;
      this.#checkFiles(key, used);
      return mounts;
    });
  }

  async commit(key: string, name: string, options: CommitOptions = {}): Promise<void> {
    const { labels = {}, lease, parent, signal } = options;
    checkLabels(labels, "info.Labels: ");
    if (name === "") throw emptyKey();
    // The row is durable at once, and its files would be empty after a power cut until the kernel has written them.
    await this.#synchronize(name);
    const exists = await this.objects.database.transaction(() => {
      if (this.#rows.find(name) !== undefined) {
        this.#hold(lease, name);
        return true;
      }
      const row = this.#rows.get(key);
      if (row.kind !== "active") {
        throw new Failure(
          "FailedPrecondition",
          `failed to commit snapshot: snapshot "${this.#rows.fullKey(row)}" is not active`,
        );
      }
      this.#rows.commit(row, name, this.#parentAtCommit(row, parent), labels);
      this.#hold(lease, name);
      return false;
    }, { signal });
    if (exists) throw new Failure("AlreadyExists", `snapshot "${name}"`);
  }

  async #synchronize(name: string): Promise<void> {
    try {
      await syncFileSystem(this.directory);
    } catch (error) {
      throw diskFailure(error, `commit snapshot "${name}"`, this.directory);
    }
  }

  #parentAtCommit(row: SnapshotRow, parent: string | undefined): string | undefined {
    if (row.parent !== null || parent === undefined) return row.parent ?? undefined;
    const onto = this.#rows.committedParent(parent, "FailedPrecondition");
    if (!this.rebases) {
      throw new Failure(
        "FailedPrecondition",
        `snapshotter "${this.name}" cannot put snapshot "${row.key}" onto "${parent}" at commit: prepare it on that one`,
      );
    }
    this.#takeOwner(this.#place(onto.id), this.#place(row.id));
    return parent;
  }

  /** As `fill` would have done with this parent. */
  #takeOwner(parent: string, directory: string): void {
    const { uid, gid } = Deno.statSync(this.form.files(parent));
    if (uid !== 0 || gid !== 0) Deno.chownSync(this.form.files(directory), uid, gid);
  }

  async remove(key: string): Promise<void> {
    const clean = await this.objects.database.transaction(() => this.removeInside(key), { frees: true });
    await clean();
  }

  async removeSoon(key: string, signal?: AbortSignal): Promise<void> {
    const take = await this.objects.database.transaction(() => this.#removeInside(key), { signal, frees: true });
    if (this.options.syncRemove === true) await this.trash.remove(take());
    else this.trash.removeLater(take());
  }

  /**
   * As {@link remove}, inside a transaction of the caller's. Gives what is to be done after it: removing the files.
   *
   * The directory stays until the commit: where somebody is killed before that, nothing has happened, and after it
   * {@link discardLeftovers} finds the directory. Ids never come back.
   */
  removeInside(key: string): () => Promise<void> {
    const take = this.#removeInside(key);
    return async () => await this.trash.remove(take());
  }

  /** Gives what takes the files into the trash, and says where. */
  #removeInside(key: string): () => string | undefined {
    const row = this.#rows.get(key);
    this.#rows.delete(row);
    return () => {
      this.#locks.forget(row.id);
      // Nothing in the database is about it any more, so there is no transaction that could take it back.
      return this.trash.takeOrphan(this.#place(row.id));
    };
  }

  async settled(): Promise<void> {
    await this.trash.settled();
  }

  async cleanup(): Promise<void> {
    await this.settled();
    await this.discardLeftovers();
    await this.trash.empty({ again: true });
  }

  /**
   * Puts a committed snapshot under the lease, if it is there, and says whether. From then on the caller can rely on
   * it.
   */
  async claim(key: string, lease: string): Promise<boolean> {
    return await this.objects.database.transaction(() => {
      if (this.#rows.find(key)?.kind !== "committed") return false;
      this.#hold(lease, key);
      return true;
      // A power cut ends the lease as well.
    }, { durable: false });
  }

  /**
   * Waits until this process is the only one that makes the committed snapshot of that name, so that a layer is not
   * unpacked twice at once. To be followed by {@link claim}.
   */
  async lockName(name: string, signal: AbortSignal): Promise<FileLock> {
    return await this.#locks.lockName(`${this.objects.namespace}/${name}`, signal);
  }

  #info(row: SnapshotRow, labels = this.#rows.labels(row)): SnapshotInfo {
    const more = this.form.labels?.(this.#place(row.id));
    return infoOf(row, more === undefined ? labels : { ...labels, ...more });
  }

  async find(key: string): Promise<SnapshotInfo | undefined> {
    return await this.#read(() => this.findInside(key));
  }

  async stat(key: string, lease?: string): Promise<SnapshotInfo> {
    const info = await this.#read(() => this.#info(this.#rows.get(key)));
    if (lease === undefined || info.kind !== "committed") return info;
    return await this.objects.database.transaction(() => {
      const found = this.#info(this.#rows.get(key));
      if (this.objects.hasLease(lease)) this.#hold(lease, key);
      return found;
      // A power cut ends what the lease is for.
    }, { durable: false });
  }

  async update(key: string, change: (info: SnapshotInfo) => Labels, signal?: AbortSignal): Promise<SnapshotInfo> {
    return await this.objects.database.transaction(() => {
      const row = this.#rows.get(key);
      const labels = change(infoOf(row, this.#rows.labels(row)));
      checkLabels(labels, "info.Labels: ");
      this.#rows.setLabels(row, labels);
      return this.#info(this.#rows.get(key));
    }, { signal });
  }

  async usage(key: string, signal?: AbortSignal): Promise<Usage> {
    const { row, parent } = await this.#read(() => {
      const row = this.#rows.get(key);
      return { row, parent: row.parent === null ? undefined : this.#rows.find(row.parent) };
    });
    if (row.kind === "view") return { size: 0, inodes: 0 };
    if (row.size !== null && row.inodes !== null) return { size: row.size, inodes: row.inodes };
    const place = this.#place(row.id);
    this.#checkFiles(key, place);
    const base = parent === undefined ? undefined : this.#place(parent.id);
    const usage = await (this.form.usage?.(place, base, signal ?? never) ?? this.#treeUsage(place, signal));
    // Not at commit: a pull would wait for a number that hardly anybody asks for.
    if (row.kind === "committed") await this.objects.database.transaction(() => this.#rows.keepUsage(row.id, usage));
    return usage;
  }

  async #treeUsage(place: string, signal?: AbortSignal): Promise<Usage> {
    const { snapshotUsage } = await import("./tree_work.ts");
    return await snapshotUsage(this.form.files(place), undefined, signal);
  }

  pages(signal?: AbortSignal): AsyncGenerator<SnapshotInfo[]> {
    return this.#rows.pages((row, labels) => this.#info(row, labels), signal);
  }

  async list(): Promise<SnapshotInfo[]> {
    return (await Array.fromAsync(this.pages())).flat();
  }

  async layerDirectory(key: string): Promise<string> {
    return await this.#read(() => this.form.files(this.#place(this.#rows.get(key).id)));
  }

  async parentDirectories(key: string): Promise<string[]> {
    return await this.#read(() => this.#parentPlaces(this.#rows.get(key)).map((place) => this.form.files(place)));
  }

  async lockSnapshot(key: string): Promise<FileLock> {
    const { id } = await this.#read(() => this.#rows.get(key));
    const lock = this.#locks.lock(id, key);
    const still = await this.#read(() => this.#rows.find(key));
    if (still?.id === id) return lock;
    lock.release({ remove: true });
    throw new Failure("NotFound", `snapshot ${key} does not exist`);
  }

  /** The snapshot, inside `Database.read` or a transaction. */
  findInside(key: string): SnapshotInfo | undefined {
    const row = this.#rows.find(key);
    return row === undefined ? undefined : this.#info(row);
  }

  /** Whether somebody has the snapshot locked now; inside `Database.read` or a transaction. */
  isLockedInside(key: string): boolean {
    const row = this.#rows.find(key);
    return row !== undefined && this.#locks.isLocked(row.id);
  }

  /** Throws away what processes left that died while they made or removed a snapshot. */
  async discardLeftovers(): Promise<void> {
    await discardLeftovers({ root: this.#root, database: this.objects.database, trash: this.trash });
    // The root's own trash is emptied by whoever cleans the root.
    if (this.options.ownsTrash === true) await this.trash.empty();
  }
}

/** The text is that of containerd's database. */
function emptyKey(): Failure {
  return new Failure("Unknown", "bucket name required");
}
