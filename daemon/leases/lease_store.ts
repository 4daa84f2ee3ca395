/**
 * Leases: what keeps objects alive while nothing that has a name refers to them yet.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import { diskFailure } from "../metadata/disk_failure.ts";
import type { Labels, ObjectKind } from "../metadata/label_refs.ts";
import type { Objects } from "../metadata/objects.ts";
import { pagesOf, type PageSource } from "../metadata/pages.ts";
import { FileLock } from "./file_lock.ts";

/** Each attempt fails only where a cleaner looks between two neighbouring calls: so many in a row mean something else. */
const lockAttemptsMax = 100;

/** A lease as stored. Times are milliseconds since 1970. */
export interface LeaseInfo {
  readonly id: string;
  /** Whether it ends with the process that holds its file's lock. */
  readonly owned: boolean;
  readonly created: number;
  /** From then on it keeps nothing alive any more. */
  readonly expires?: number;
  readonly labels: Labels;
}

/** Something that a lease keeps alive. */
export interface LeaseResource {
  readonly kind: ObjectKind;
  readonly key: string;
}

/**
 * A lease of this process, kept until it is ended or the process dies.
 *
 * `end` is for the good case: whatever is still needed has a name by now. Where the process dies instead, its lock is
 * free and `reapAbandoned` removes the lease with the containers and the active snapshots under it.
 */
export class OwnedLease implements AsyncDisposable {
  constructor(readonly id: string, private readonly store: LeaseStore, private readonly lock: FileLock) {}

  /** Gives up the lease; what it held stays where something else refers to it. A second call does nothing. */
  async end(): Promise<void> {
    try {
      await this.store.objects.database.transaction(() => this.store.deleteInside(this.id), {
        durable: false,
        frees: true,
      });
    } catch (error) {
      if (!isFailure(error, "NotFound")) throw error;
    } finally {
      this.lock.release({ remove: true });
    }
  }

  /**
   * As {@link end}, inside a transaction of the caller's, which may delete what the lease held as well. Gives what is to
   * be done after it.
   */
  endInside(): () => void {
    this.store.deleteInside(this.id);
    return () => this.lock.release({ remove: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

interface LeaseRow {
  id: string;
  owned: number;
  created: number;
  expires: number | null;
}

const source: PageSource<LeaseRow, LeaseInfo> = {
  kind: "lease",
  sql: "SELECT id, owned, created, expires FROM leases WHERE namespace = ? AND id > ? ORDER BY id LIMIT ?",
  keyOf: ({ id }) => id,
  info: infoOf,
};

/** What the caller of {@link LeaseStore.insertInside} decides. Times are milliseconds since 1970. */
export interface NewLease {
  readonly labels: Labels;
  readonly owned?: boolean;
  readonly expires?: number | undefined;
  /** Else now. */
  readonly created?: number;
}

/** The leases of one namespace. `directory` holds the lock files of owned ones. */
export class LeaseStore {
  constructor(readonly objects: Objects, readonly directory: string) {}

  /** Path of the file whose lock the owner of a lease holds. */
  lockPath(id: string): string {
    return `${this.directory}/${encodeURIComponent(this.objects.namespace)}+${encodeURIComponent(id)}.lock`;
  }

  /** The lease whose lock file has this name; undefined where it is of another namespace or no lock file. */
  idOfLock(name: string): string | undefined {
    const prefix = `${encodeURIComponent(this.objects.namespace)}+`;
    if (!name.startsWith(prefix) || !name.endsWith(".lock")) return undefined;
    return decodeURIComponent(name.slice(prefix.length, -".lock".length));
  }

  /** Whether there is such a lease; inside `Database.read` or a transaction. */
  existsInside(id: string): boolean {
    const { database, namespace } = this.objects;
    return database.get("SELECT 1 FROM leases WHERE namespace = ? AND id = ?", namespace, id) !== undefined;
  }

  /** Makes a lease that lives as long as this process, or until it is ended. */
  async own(purpose: string): Promise<OwnedLease> {
    const { id, lock } = this.#newLock(purpose);
    try {
      await this.#insert(id, { owned: true, labels: {} });
      return new OwnedLease(id, this, lock);
    } catch (error) {
      lock.release({ remove: true });
      throw error;
    }
  }

  /**
   * An id with its lock: first the lock and then the row, so that no row is ever seen without its lock. Whoever cleans
   * up may see the new file before it is locked, takes it for a dead owner's and removes it: then another id is tried.
   */
  #newLock(purpose: string): { id: string; lock: FileLock } {
    for (let attempt = 0; attempt < lockAttemptsMax; attempt++) {
      const id = `${purpose}-${crypto.randomUUID()}`;
      const lock = this.#tryLock(id);
      if (lock !== undefined) return { id, lock };
    }
    throw new Failure("Unavailable", "cannot make a lease: other processes take each new lock file away");
  }

  #tryLock(id: string): FileLock | undefined {
    try {
      return FileLock.tryAcquire(this.lockPath(id), { create: true });
    } catch (error) {
      throw diskFailure(error, "make a lease", this.directory);
    }
  }

  /** Makes a lease that lasts until it is deleted or `expires`. Throws `AlreadyExists`. */
  async create(id: string, options: { expires?: number; labels?: Labels } = {}): Promise<void> {
    if (id === "") throw new Failure("InvalidArgument", "a lease needs an id that is not empty");
    await this.#insert(id, { owned: false, labels: options.labels ?? {}, expires: options.expires });
  }

  async #insert(id: string, lease: NewLease & { owned: boolean }): Promise<void> {
    await this.objects.database.transaction(() => {
      if (!this.insertInside(id, lease)) throw new Failure("AlreadyExists", `lease "${id}" already exists`);
      // An owned one does not outlive the power anyway.
    }, { durable: !lease.owned });
  }

  /** Adds a lease, inside a transaction of the caller's; says whether the id was free. */
  insertInside(id: string, { labels, owned = false, expires, created = wallTimeMs() }: NewLease): boolean {
    const { database, namespace } = this.objects;
    this.objects.enterNamespace();
    const made = database.run(
      "INSERT OR IGNORE INTO leases (namespace, id, owned, expires, created) VALUES (?, ?, ?, ?, ?)",
      namespace,
      id,
      owned ? 1 : 0,
      expires ?? null,
      created,
    );
    if (made > 0) this.objects.initLabels("lease", id, labels);
    return made > 0;
  }

  /** Removes a lease, and not what it holds. Throws `NotFound`. */
  async delete(id: string): Promise<void> {
    await this.objects.database.transaction(() => this.deleteInside(id), { frees: true });
  }

  /** As {@link delete}, inside a transaction of the caller's. */
  deleteInside(id: string): void {
    const { database, namespace } = this.objects;
    const gone = database.run("DELETE FROM leases WHERE namespace = ? AND id = ?", namespace, id);
    this.objects.forget("lease", id);
    if (gone === 0) throw new Failure("NotFound", `lease "${id}" does not exist`);
  }

  /** All leases, by id, in pages. */
  pages(signal?: AbortSignal): AsyncGenerator<LeaseInfo[]> {
    return pagesOf(this.objects, source, signal);
  }

  /** The lease, or undefined; inside `Database.read` or a transaction. */
  findInside(id: string): LeaseInfo | undefined {
    const { database, namespace } = this.objects;
    const row = database.get<LeaseRow>(
      "SELECT id, owned, created, expires FROM leases WHERE namespace = ? AND id = ?",
      namespace,
      id,
    );
    return row === undefined ? undefined : infoOf(row, this.objects.labels("lease", id));
  }

  /** All leases, oldest first. */
  async list(): Promise<LeaseInfo[]> {
    const leases = (await Array.fromAsync(this.pages())).flat();
    // The sort is stable: those of one millisecond stay in the order of their ids.
    return leases.sort((a, b) => a.created - b.created);
  }

  /** What a lease holds; empty for a lease that does not exist. To be called in `Database.read` or a transaction. */
  resources(id: string): LeaseResource[] {
    const { database, namespace } = this.objects;
    return database.all<LeaseResource>(
      "SELECT to_kind AS kind, to_key AS key FROM refs " +
        "WHERE namespace = ? AND from_kind = 'lease' AND from_key = ? AND name = 'lease' ORDER BY to_kind, to_key",
      namespace,
      id,
    );
  }

  /** Takes one thing off a lease, inside a transaction of the caller's; fine where it is not on it. */
  releaseInside(id: string, { kind, key }: LeaseResource): void {
    const { database, namespace } = this.objects;
    const gone = database.run(
      "DELETE FROM refs WHERE namespace = ? AND from_kind = 'lease' AND from_key = ? AND to_kind = ? AND to_key = ? " +
        "AND name = 'lease'",
      namespace,
      id,
      kind,
      key,
    );
    // It may be garbage now.
    if (gone > 0) database.noteDeletion();
  }
}

function infoOf({ id, owned, created, expires }: LeaseRow, labels: Labels): LeaseInfo {
  return { id, owned: owned === 1, created, ...(expires === null ? {} : { expires }), labels };
}
