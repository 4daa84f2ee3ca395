/**
 * The snapshotter over directories, for every form.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { FileLock } from "../leases/file_lock.ts";
import { diskFailure } from "../metadata/disk_failure.ts";
import type { Undo } from "../metadata/database.ts";
import type { Objects } from "../metadata/objects.ts";
import type { Trash } from "../metadata/trash.ts";
import type { SnapshotForm } from "./form.ts";
import { type SnapshotRow, SnapshotRows } from "./snapshot_rows.ts";
import type { CommitOptions, Mount, PrepareOptions, SnapshotInfo, Snapshotter, Usage } from "./snapshotter.ts";

/** Each attempt fails only where a cleaner looks between two neighbouring calls: so many in a row mean something else. */
const freshAttemptsMax = 100;

/**
 * Keeps `snapshots/<id>` for each row, made as `snapshots/new-*` and renamed into place in the transaction that adds the
 * row; and `locks/<id>` for those that were locked.
 */
export class DirectorySnapshotter implements Snapshotter {
  readonly #rows: SnapshotRows;
  readonly name: string;
  readonly layers: "overlay" | "plain";
  readonly rebases: boolean;

  constructor(
    private readonly form: SnapshotForm,
    private readonly objects: Objects,
    readonly directory: string,
    private readonly trash: Trash,
  ) {
    this.name = form.name;
    this.layers = form.layers;
    this.rebases = form.rebases;
    this.#rows = new SnapshotRows(objects, form.name);
  }

  #place(id: number): string {
    return `${this.directory}/snapshots/${id}`;
  }

  #lockPath(id: number): string {
    return `${this.directory}/locks/${id}`;
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
    if (key === "") throw new Failure("InvalidArgument", "a snapshot needs a key that is not empty");
    // Looked at again inside the transaction.
    const parent = await this.#read(() => this.#parentOfNew(options));
    let fresh = "";
    let lock: FileLock | undefined;
    try {
      lock = this.#makeFresh();
      fresh = lock.path;
      const filling = this.form.fill(fresh, kind, parent === undefined ? undefined : this.#place(parent.id));
      if (filling !== undefined) await filling;
      return await this.#publish(key, kind, options, fresh);
    } catch (error) {
      if (lock !== undefined) await this.#discard(fresh);
      throw diskFailure(error, `prepare snapshot "${key}"`, this.directory);
    } finally {
      lock?.release();
    }
  }

  /**
   * A new directory, locked so that nobody takes it for the leftover of a process that died. Whoever cleans up may look
   * between the two calls, and take it away: then another one is made.
   */
  #makeFresh(): FileLock {
    for (let attempt = 0; attempt < freshAttemptsMax; attempt++) {
      const path = `${this.directory}/snapshots/new-${crypto.randomUUID()}`;
      Deno.mkdirSync(path, { mode: 0o700 });
      try {
        const lock = FileLock.tryAcquire(path);
        if (lock !== undefined) return lock;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    throw new Failure("Unavailable", `cannot make a directory in "${this.directory}": others take each new one away`);
  }

  #parentOfNew({ parent }: PrepareOptions): SnapshotRow | undefined {
    return parent === undefined ? undefined : this.#rows.committedParent(parent);
  }

  #alreadyExists(key: string): Failure {
    return new Failure("AlreadyExists", `snapshot "${key}" already exists`);
  }

  async #publish(key: string, kind: "active" | "view", options: PrepareOptions, fresh: string): Promise<Mount[]> {
    const objectKey = this.#rows.objectKey(key);
    const mounts = await this.objects.database.transaction((undo) => {
      if (this.#rows.find(key) !== undefined) {
        this.objects.hold(options.lease, "snapshot", objectKey);
        return undefined;
      }
      this.#parentOfNew(options);
      const id = this.#rows.insert(key, kind, options.parent, options.labels ?? {});
      this.objects.hold(options.lease, "snapshot", objectKey);
      const place = this.#place(id);
      // A power cut may have taken the row of this id and left its directory.
      this.trash.take(place, undo);
      Deno.renameSync(fresh, place);
      undo.push(() => Deno.renameSync(place, fresh));
      return this.#mountsOf(this.#rows.get(key));
      // What is written to it is not durable either; the container or the commit that refers to it will be.
    }, { durable: false });
    if (mounts === undefined) throw this.#alreadyExists(key);
    return mounts;
  }

  async #discard(path: string): Promise<void> {
    // Nothing in the database is about it, so there is no transaction that could take it back.
    await this.trash.remove(this.trash.take(path, []));
  }

  #mountsOf(row: SnapshotRow): Mount[] {
    if (row.kind === "committed") {
      throw new Failure(
        "FailedPrecondition",
        `snapshot "${row.key}" is committed: only active ones and views have mounts`,
      );
    }
    const parents = this.#rows.parents(row).map(({ id }) => this.#place(id));
    return this.form.mounts(this.#place(row.id), row.kind, parents);
  }

  async mounts(key: string): Promise<Mount[]> {
    return await this.#read(() => this.#mountsOf(this.#rows.get(key)));
  }

  async commit(key: string, name: string, options: CommitOptions = {}): Promise<void> {
    const nameKey = this.#rows.objectKey(name);
    const exists = await this.objects.database.transaction(() => {
      if (this.#rows.find(name) !== undefined) {
        this.objects.hold(options.lease, "snapshot", nameKey);
        return true;
      }
      const row = this.#rows.get(key);
      if (row.kind !== "active") {
        throw new Failure(
          "FailedPrecondition",
          `snapshot "${key}" is ${row.kind}: only an active one can be committed`,
        );
      }
      this.#rows.commit(row, name, this.#parentAtCommit(row, options.parent), options.labels ?? {});
      this.objects.hold(options.lease, "snapshot", nameKey);
      return false;
    });
    if (exists) throw this.#alreadyExists(name);
  }

  #parentAtCommit(row: SnapshotRow, parent: string | undefined): string | undefined {
    if (parent === undefined || parent === row.parent) return row.parent ?? undefined;
    if (row.parent !== null) {
      const message = `snapshot "${row.key}" stands on "${row.parent}" and cannot be put onto "${parent}"`;
      throw new Failure("InvalidArgument", message);
    }
    if (!this.rebases) {
      throw new Failure(
        "FailedPrecondition",
        `snapshotter "${this.name}" cannot put snapshot "${row.key}" onto "${parent}" at commit: prepare it on that one`,
      );
    }
    this.#takeOwner(this.#place(this.#rows.committedParent(parent).id), this.#place(row.id));
    return parent;
  }

  /** As `fill` would have done with this parent. */
  #takeOwner(parent: string, directory: string): void {
    const { uid, gid } = Deno.statSync(this.form.files(parent));
    if (uid !== 0 || gid !== 0) Deno.chownSync(this.form.files(directory), uid, gid);
  }

  async remove(key: string): Promise<void> {
    const clean = await this.objects.database.transaction((undo) => this.removeInside(key, undo));
    await clean();
  }

  /**
   * As {@link remove}, inside a transaction of the caller's. Gives what is to be done after it: removing the files.
   *
   * Where somebody is killed before the commit, an active snapshot may have a row and no files, which its second removal
   * or that of its dead lease does not mind. A layer may not, as the next pull would build on it: its directory stays
   * until the commit, and is found by {@link discardLeftovers} if need be. Ids never come back.
   */
  removeInside(key: string, undo: Undo): () => Promise<void> {
    const row = this.#rows.get(key);
    this.#rows.delete(row);
    const path = this.#place(row.id);
    const taken = row.kind === "committed" ? undefined : this.trash.take(path, undo);
    return async () => {
      this.#forgetLock(row.id);
      if (row.kind === "committed") await this.#discard(path);
      else await this.trash.remove(taken);
    };
  }

  /**
   * Puts a committed snapshot under the lease, if it is there, and says whether. From then on the caller can rely on
   * it.
   */
  async claim(key: string, lease: string): Promise<boolean> {
    return await this.objects.database.transaction(() => {
      if (this.#rows.find(key)?.kind !== "committed") return false;
      this.objects.hold(lease, "snapshot", this.#rows.objectKey(key));
      return true;
      // A power cut ends the lease as well.
    }, { durable: false });
  }

  /**
   * Waits until this process is the only one that makes the committed snapshot of that name, so that a layer is not
   * unpacked twice at once. To be followed by {@link claim}.
   */
  async lockName(name: string, signal: AbortSignal): Promise<FileLock> {
    const path = `${this.directory}/locks/make-${encodeURIComponent(`${this.objects.namespace}/${name}`)}`;
    return await FileLock.acquire(path, signal, { create: true });
  }

  #forgetLock(id: number): void {
    try {
      Deno.removeSync(this.#lockPath(id));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async find(key: string): Promise<SnapshotInfo | undefined> {
    return await this.#read(() => this.findInside(key));
  }

  async stat(key: string): Promise<SnapshotInfo> {
    return await this.#read(() => this.#rows.info(this.#rows.get(key)));
  }

  async usage(key: string): Promise<Usage> {
    const row = await this.#read(() => this.#rows.get(key));
    if (row.size !== null && row.inodes !== null) return { size: row.size, inodes: row.inodes };
    const { treeUsage } = await import("./usage.ts");
    const usage = await treeUsage(this.form.files(this.#place(row.id)));
    // Not at commit: a pull would wait for a number that hardly anybody asks for.
    if (row.kind === "committed") await this.objects.database.transaction(() => this.#rows.keepUsage(row.id, usage));
    return usage;
  }

  async list(): Promise<SnapshotInfo[]> {
    return await this.#read(() => this.#rows.list().map((row) => this.#rows.info(row)));
  }

  async layerDirectory(key: string): Promise<string> {
    return await this.#read(() => this.form.files(this.#place(this.#rows.get(key).id)));
  }

  async parentDirectories(key: string): Promise<string[]> {
    return await this.#read(() =>
      this.#rows.parents(this.#rows.get(key)).map(({ id }) => this.form.files(this.#place(id)))
    );
  }

  async lockSnapshot(key: string): Promise<FileLock> {
    const { id } = await this.#read(() => this.#rows.get(key));
    const lock = FileLock.tryAcquire(this.#lockPath(id), { create: true });
    if (lock === undefined) {
      throw new Failure(
        "Unavailable",
        `snapshot "${key}" is in use by another process: wait until its container has ended`,
      );
    }
    const still = await this.#read(() => this.#rows.find(key));
    if (still?.id === id) return lock;
    lock.release({ remove: true });
    throw new Failure("NotFound", `snapshot "${key}" does not exist`);
  }

  /** The snapshot, inside `Database.read` or a transaction. */
  findInside(key: string): SnapshotInfo | undefined {
    const row = this.#rows.find(key);
    return row === undefined ? undefined : this.#rows.info(row);
  }

  /** Whether somebody has the snapshot locked now; inside `Database.read` or a transaction. */
  isLockedInside(key: string): boolean {
    const row = this.#rows.find(key);
    if (row === undefined) return false;
    try {
      const lock = FileLock.tryAcquire(this.#lockPath(row.id));
      lock?.release();
      return lock === undefined;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** Throws away what processes left that died while they made or removed a snapshot. */
  async discardLeftovers(): Promise<void> {
    const places = Deno.readDirSync(`${this.directory}/snapshots`);
    const known = await this.#read(() => this.#rows.allIds());
    for (const { name } of places) {
      if (name.startsWith("new-")) await this.#discardIfFree(`${this.directory}/snapshots/${name}`);
      else if (/^\d+$/.test(name) && !known.has(Number(name))) await this.#discardOrphan(Number(name));
    }
    for (const { name } of Deno.readDirSync(`${this.directory}/locks`)) {
      if (!known.has(Number(name))) this.#removeFreeLock(`${this.directory}/locks/${name}`);
    }
  }

  async #discardIfFree(path: string): Promise<void> {
    let lock: FileLock | undefined;
    try {
      lock = FileLock.tryAcquire(path);
    } catch (error) {
      // Renamed into place in the meantime.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    if (lock === undefined) return;
    using _held = lock;
    await this.#discard(path);
  }

  async #discardOrphan(id: number): Promise<void> {
    // Inside a transaction nobody else is between giving a directory its place and adding its row.
    const place = await this.objects.database.transaction(
      (undo) => this.#rows.allIds().has(id) ? undefined : this.trash.take(this.#place(id), undo),
      { durable: false },
    );
    await this.trash.remove(place);
  }

  #removeFreeLock(path: string): void {
    try {
      FileLock.tryAcquire(path)?.release({ remove: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
