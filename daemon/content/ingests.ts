/**
 * The unfinished writes of a namespace.
 *
 * @module
 */
import { type Digest, splitDigest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import type { Database, Undo } from "../metadata/database.ts";
import { diskFailure } from "../metadata/disk_failure.ts";
import { syncDirectory } from "../metadata/disk_sync.ts";
import type { Labels } from "../metadata/label_refs.ts";
import type { Objects } from "../metadata/objects.ts";
import type { BlobRows } from "./blob_rows.ts";
import { Ingest, type IngestStore, type Published } from "./ingest.ts";
import { discardIngestFiles, IngestFiles, type IngestStatus, readIngestStatus } from "./ingest_files.ts";

/** How long an unfinished write without a lease is kept for being resumed. */
export const ingestLifetimeMs = 24 * 60 * 60 * 1000;

/** After so many milliseconds of reading small files others have their turn. */
const turnMsMax = 10;

/** What is known of an unfinished write from outside, with its ref. */
export interface NamedIngestStatus extends IngestStatus {
  readonly ref: string;
}

/** How an unfinished write is kept. */
export interface IngestKeeping {
  /** The lease that keeps the write, and then the blob. */
  readonly lease: string | undefined;
  /** How long it is kept without one, in milliseconds; 0 where only the lease counts. */
  readonly lifetimeMs: number;
}

/** The unfinished writes of one namespace: rows, and directories of files by their names. */
export class Ingests {
  readonly #database: Database;
  readonly #objects: Objects;

  constructor(readonly rows: BlobRows) {
    this.#objects = rows.objects;
    this.#database = rows.objects.database;
  }

  /** The directory of all unfinished writes. */
  get directory(): string {
    return `${this.rows.files.directory}/ingest`;
  }

  /** What the ref is called on disk, where the namespaces share a directory. */
  diskRef(ref: string): string {
    // An empty ref stays one, and is refused as such.
    return ref === "" ? "" : `${this.#objects.namespace}/${ref}`;
  }

  /**
   * Opens the files of a write; with a signal it waits for another who has them, without one it throws `Unavailable`.
   */
  async open(ref: string, size: number | undefined, signal?: AbortSignal): Promise<IngestFiles> {
    try {
      if (signal === undefined) return await IngestFiles.tryOpen(this.directory, this.diskRef(ref), size);
      return await IngestFiles.open(this.directory, this.diskRef(ref), size, signal);
    } catch (error) {
      throw diskFailure(error, `store "${ref}"`, this.directory);
    }
  }

  /** Records a write, or that it goes on. Inside a transaction. `expected` is a file that it takes over. */
  enter(ref: string, { lease, lifetimeMs }: IngestKeeping, expected?: Digest): void {
    const { namespace } = this.#objects;
    this.#objects.enterNamespace();
    this.#database.run(
      "INSERT INTO ingests (namespace, ref, expires, expected) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE " +
        "SET expires = max(expires, excluded.expires), expected = excluded.expected",
      namespace,
      ref,
      lifetimeMs === 0 ? 0 : Date.now() + lifetimeMs,
      expected ?? null,
    );
    this.#objects.hold(lease, "ingest", ref);
  }

  /** Removes the row of a write, and says whether there was one. Inside a transaction. */
  forget(ref: string, undo: Undo): boolean {
    const { namespace } = this.#objects;
    const [row] = this.#database.all<{ expected: Digest | null }>(
      "DELETE FROM ingests WHERE namespace = ? AND ref = ? RETURNING expected",
      namespace,
      ref,
    );
    this.#objects.release("ingest", ref);
    // Nobody may need the file that it was going to take over by now.
    if (row !== undefined && row.expected !== null) this.rows.dropFile(row.expected, undo);
    return row !== undefined;
  }

  /** The writer for files that were opened. `existing` says what a blob that is there already means at its commit. */
  writer(
    ref: string,
    files: IngestFiles,
    options: { lease: string | undefined; expected: Digest | undefined; existing: "merge" | "refuse" },
  ): Ingest {
    const { lease, expected, existing } = options;
    const store: IngestStore = {
      publish: (digest, size, labels) => this.#publish(ref, files, { digest, size, labels, lease, existing }),
      forget: async () => void await this.#database.transaction((undo) => this.forget(ref, undo), { frees: true }),
    };
    return new Ingest(ref, files, store, expected === undefined ? undefined : splitDigest(expected).algorithm);
  }

  async #publish(
    ref: string,
    files: IngestFiles,
    { digest, size, labels, lease, existing }: {
      readonly digest: Digest;
      readonly size: number;
      readonly labels: Labels;
      readonly lease: string | undefined;
      readonly existing: "merge" | "refuse";
    },
  ): Promise<Published> {
    const { rows } = this;
    const directory = rows.files.directoryFor(digest);
    const published = await this.#database.transaction((undo): Published => {
      if (files.isRemoved) throw new Failure("Aborted", `the write of "${ref}" was aborted by another call`);
      const existed = rows.claimOwn(digest, lease, undo);
      if (!existed && !rows.claim(digest, { size, lease }, undo)) {
        rows.place(files.data, digest, size, undo);
        this.#objects.hold(lease, "content", digest);
      }
      if (!existed) this.#objects.initLabels("content", digest, labels);
      // Its labels are somebody's; ours come on top.
      else if (existing === "merge") this.#objects.addLabels("content", digest, labels);
      this.forget(ref, undo);
      return existed ? "existed" : "created";
    });
    // Not inside, where others wait for us. A row whose file's name a power cut took is noticed by claim().
    await syncDirectory(directory);
    return published;
  }

  /** What is known of a write; undefined where there is none, or it has no bytes of its own. */
  async status(ref: string): Promise<NamedIngestStatus | undefined> {
    const { namespace } = this.#objects;
    const row = await this.#database.read(() =>
      this.#database.get("SELECT 1 FROM ingests WHERE namespace = ? AND ref = ?", namespace, ref)
    );
    if (row === undefined) return undefined;
    const status = await readIngestStatus(this.directory, this.diskRef(ref));
    return status === undefined ? undefined : { ref, ...status };
  }

  /** All writes with bytes of their own whose ref passes, by ref. */
  async statuses(passes: (ref: string) => boolean): Promise<NamedIngestStatus[]> {
    const refs = await this.#database.read(() =>
      this.#database.all<{ ref: string }>(
        "SELECT ref FROM ingests WHERE namespace = ? ORDER BY ref",
        this.#objects.namespace,
      )
    );
    const statuses: NamedIngestStatus[] = [];
    let began = performance.now();
    for (const { ref } of refs) {
      if (performance.now() - began > turnMsMax) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        began = performance.now();
      }
      if (!passes(ref)) continue;
      const status = await readIngestStatus(this.directory, this.diskRef(ref));
      if (status !== undefined) statuses.push({ ref, ...status });
    }
    return statuses;
  }

  /** Throws a write away, also while it goes on in this process. Throws `NotFound` where there is none. */
  async abort(ref: string): Promise<void> {
    // Files first: on a full disk it is they that make room for the transaction. A row alone does no harm.
    const found = ref !== "" && await discardIngestFiles(this.directory, this.diskRef(ref));
    const known = await this.#database.transaction((undo) => this.forget(ref, undo), { frees: true });
    if (!known && !found) throw new Failure("NotFound", `reference ${ref}`);
  }

  /** Removes unfinished writes that nobody has gone on with for so long, and that no lease keeps. */
  async discardExpired(): Promise<void> {
    const { namespace } = this.#objects;
    const sql = "SELECT ref FROM ingests WHERE namespace = ?1 AND expires < ?2 AND NOT EXISTS (SELECT 1 FROM refs " +
      "WHERE namespace = ?1 AND to_kind = 'ingest' AND to_key = ref AND from_kind = 'lease')";
    const expired = await this.#database.read(() => this.#database.all<{ ref: string }>(sql, namespace, Date.now()));
    for (const { ref } of expired) {
      const files = await IngestFiles.take(this.directory, this.diskRef(ref));
      if (files === "in use") continue;
      await this.#database.transaction((undo) => this.forget(ref, undo), { frees: true });
      files?.remove();
    }
  }
}
