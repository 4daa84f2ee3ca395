/**
 * The content store: blobs by digest.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import { splitDigest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import type { Undo } from "../metadata/database.ts";
import { diskFailure } from "../metadata/disk_failure.ts";
import type { Labels } from "../metadata/label_refs.ts";
import type { Objects } from "../metadata/objects.ts";
import type { Trash } from "../metadata/trash.ts";
import { BlobFiles } from "./blob_files.ts";
import { Ingest } from "./ingest.ts";
import { IngestFiles } from "./ingest_files.ts";

/** How long an unfinished write without a lease is kept for being resumed. */
export const ingestLifetimeMs = 24 * 60 * 60 * 1000;

/** A blob of a namespace. Times are milliseconds since 1970. */
export interface BlobInfo {
  readonly digest: Digest;
  readonly size: number;
  readonly created: number;
  readonly updated: number;
  readonly labels: Labels;
}

/** Options of {@link ContentStore.openIngest}. */
export interface IngestOptions {
  /** What it will be; a blob that is there already is then not written again. */
  readonly expected?: Digest;
  /** Its bytes in all. */
  readonly size?: number;
  /** The lease that keeps the write, and then the blob. */
  readonly lease?: string;
  readonly signal: AbortSignal;
}

interface BlobRow {
  digest: Digest;
  size: number;
  created: number;
  updated: number;
}

/**
 * The blobs of one namespace. The files are shared by all namespaces; a blob exists in a namespace by its row. A file
 * without any row is one whose writer died in the last moment, or which is about to be collected.
 */
export class ContentStore {
  readonly files: BlobFiles;

  constructor(readonly objects: Objects, directory: string, private readonly trash: Trash) {
    this.files = new BlobFiles(directory);
  }

  /** Path of a blob's file, for reading. Whether it exists is not looked at. */
  path(digest: Digest): string {
    return this.files.path(digest);
  }

  /** All bytes of a small blob, such as a manifest. Throws `NotFound`. */
  read(digest: Digest): Uint8Array<ArrayBuffer> {
    try {
      return Deno.readFileSync(this.files.path(digest));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw missing(digest, error);
      throw error;
    }
  }

  /** The blob, or undefined where the namespace has none. */
  async find(digest: Digest): Promise<BlobInfo | undefined> {
    return await this.objects.database.read(() => this.#find(digest));
  }

  /** The blob. Throws `NotFound`. */
  async info(digest: Digest): Promise<BlobInfo> {
    const info = await this.find(digest);
    if (info === undefined) throw missing(digest);
    return info;
  }

  #find(digest: Digest): BlobInfo | undefined {
    const { database, namespace } = this.objects;
    const row = database.get<BlobRow>(
      "SELECT digest, size, created, updated FROM blobs WHERE namespace = ? AND digest = ?",
      namespace,
      digest,
    );
    return row === undefined ? undefined : { ...row, labels: this.objects.labels("content", digest) };
  }

  /** All blobs, by digest. */
  async list(): Promise<BlobInfo[]> {
    const { database, namespace } = this.objects;
    return await database.read(() =>
      database.all<BlobRow>(
        "SELECT digest, size, created, updated FROM blobs WHERE namespace = ? ORDER BY digest",
        namespace,
      ).map((row) => ({ ...row, labels: this.objects.labels("content", row.digest) }))
    );
  }

  /**
   * Puts a blob under the lease, if it is there, and says whether. From then on the caller can rely on it. A file that
   * another namespace has is taken over; one that has not the right size is thrown away.
   */
  async claim(digest: Digest, options: { size?: number; lease?: string | undefined }): Promise<boolean> {
    return await this.objects.database.transaction((undo) => this.#claim(digest, options, undo));
  }

  #claim(digest: Digest, options: { size?: number; lease?: string | undefined }, undo: Undo): boolean {
    const size = this.files.size(digest);
    const row = this.#find(digest);
    // A power cut may have taken the end of the file of a row, or all of it.
    if (size === undefined || size !== (row?.size ?? options.size ?? size)) {
      if (row !== undefined) this.#remove(digest, undo);
      else if (size !== undefined) this.trash.take(this.files.path(digest), undo);
      return false;
    }
    if (options.size !== undefined && options.size !== size) return false;
    if (row === undefined) this.#insert(digest, size);
    this.objects.hold(options.lease, "content", digest);
    return true;
  }

  #insert(digest: Digest, size: number): void {
    const { database, namespace } = this.objects;
    const now = Date.now();
    this.objects.enterNamespace();
    database.run("INSERT INTO blobs VALUES (?, ?, ?, ?, ?)", namespace, digest, size, now, now);
  }

  /**
   * Begins a write, or goes on with one that was interrupted. Waits while another, also another process, writes the
   * same ref. Throws `AlreadyExists` where the blob is there (it is under the lease then), the signal's reason when it
   * is aborted.
   */
  async openIngest(ref: string, options: IngestOptions): Promise<Ingest> {
    const { database, namespace } = this.objects;
    const existing = () =>
      new Failure("AlreadyExists", `blob ${options.expected} exists already, so "${ref}" need not be written`);
    const claim = { ...(options.size === undefined ? {} : { size: options.size }), lease: options.lease };
    if (options.expected !== undefined && await this.claim(options.expected, claim)) throw existing();
    let files: IngestFiles;
    try {
      const directory = `${this.files.directory}/ingest`;
      files = await IngestFiles.open(directory, `${namespace}/${ref}`, options.size, options.signal);
    } catch (error) {
      throw diskFailure(error, `store "${ref}"`, this.files.directory);
    }
    let exists = false;
    try {
      await database.transaction((undo) => {
        exists = options.expected !== undefined && this.#claim(options.expected, claim, undo);
        if (exists) return;
        this.objects.enterNamespace();
        const expires = Date.now() + ingestLifetimeMs;
        database.run(
          "INSERT OR REPLACE INTO ingests (namespace, ref, expires) VALUES (?, ?, ?)",
          namespace,
          ref,
          expires,
        );
        this.objects.hold(options.lease, "ingest", ref);
      });
    } catch (error) {
      files.close();
      throw error;
    }
    if (exists) {
      files.remove();
      throw existing();
    }
    return new Ingest(
      ref,
      files,
      (digest, size, labels) => this.#publish(ref, files, { digest, size, labels, lease: options.lease }),
      () => database.transaction(() => this.#forgetIngest(ref)),
    );
  }

  async #publish(
    ref: string,
    files: IngestFiles,
    blob: { digest: Digest; size: number; labels: Labels; lease: string | undefined },
  ): Promise<void> {
    const path = this.files.path(blob.digest);
    const directory = path.slice(0, path.lastIndexOf("/"));
    Deno.mkdirSync(`${this.files.directory}/blobs/${splitDigest(blob.digest).algorithm}`, { recursive: true });
    await this.objects.database.transaction((undo) => {
      if (this.#claim(blob.digest, { size: blob.size, lease: blob.lease }, undo)) {
        // Its labels are somebody's; ours come on top.
        this.objects.addLabels("content", blob.digest, blob.labels);
      } else {
        Deno.renameSync(files.data, path);
        undo.push(() => Deno.renameSync(path, files.data));
        Deno.chmodSync(path, 0o444);
        this.#insert(blob.digest, blob.size);
        this.objects.initLabels("content", blob.digest, blob.labels);
        this.objects.hold(blob.lease, "content", blob.digest);
      }
      this.#forgetIngest(ref);
    });
    // Not inside, where others wait for us. A row whose file's name a power cut took is noticed by claim().
    using synced = await Deno.open(directory);
    await synced.sync();
  }

  #forgetIngest(ref: string): void {
    const { database, namespace } = this.objects;
    database.run("DELETE FROM ingests WHERE namespace = ? AND ref = ?", namespace, ref);
    this.objects.forget("ingest", ref);
  }

  /** Stores a few bytes as a blob. A blob that is there already is success. Throws `FailedPrecondition` as commit. */
  async put(
    ref: string,
    bytes: Uint8Array,
    options: IngestOptions & { labels?: Labels },
  ): Promise<void> {
    let ingest: Ingest;
    try {
      ingest = await this.openIngest(ref, options);
    } catch (error) {
      if (!(error instanceof Failure && error.code === "AlreadyExists") || options.expected === undefined) throw error;
      if (options.labels !== undefined) await this.addLabels(options.expected, options.labels);
      return;
    }
    try {
      if (ingest.offset > 0) ingest.truncate();
      await ingest.write(bytes);
      const { expected, size, labels } = options;
      await ingest.commit({
        ...(expected === undefined ? {} : { expected }),
        ...(size === undefined ? {} : { size }),
        ...(labels === undefined ? {} : { labels }),
      });
    } catch (error) {
      await ingest.abort();
      throw error;
    }
  }

  /** Adds or changes labels of a blob; an empty value removes one. Throws `NotFound`. */
  async addLabels(digest: Digest, labels: Labels): Promise<void> {
    const { database, namespace } = this.objects;
    const old = await this.info(digest);
    // Most blobs of a pull have theirs from the time before, and a commit is a disk's synchronisation.
    if (Object.entries(labels).every(([key, value]) => (old.labels[key] ?? "") === value)) return;
    await database.transaction(() => {
      const updated = "UPDATE blobs SET updated = ? WHERE namespace = ? AND digest = ?";
      if (database.run(updated, Date.now(), namespace, digest) === 0) throw missing(digest);
      this.objects.addLabels("content", digest, labels);
    });
  }

  /** Removes the blob from the namespace, and its file where no other namespace has it. Throws `NotFound`. */
  async delete(digest: Digest): Promise<void> {
    const clean = await this.objects.database.transaction((undo) => this.deleteInside(digest, undo));
    await clean();
  }

  /** As {@link delete}, inside a transaction of the caller's. Gives what is to be done after it. */
  deleteInside(digest: Digest, undo: Undo): () => Promise<void> {
    if (this.#find(digest) === undefined) throw missing(digest);
    const place = this.#remove(digest, undo);
    return () => this.trash.remove(place);
  }

  /** Removes unfinished writes that nobody has gone on with for a day, and that no lease keeps. */
  async discardExpiredIngests(): Promise<void> {
    const { database, namespace } = this.objects;
    const sql = "SELECT ref FROM ingests WHERE namespace = ?1 AND expires < ?2 AND NOT EXISTS (SELECT 1 FROM refs " +
      "WHERE namespace = ?1 AND to_kind = 'ingest' AND to_key = ref AND from_kind = 'lease')";
    const expired = await database.read(() => database.all<{ ref: string }>(sql, namespace, Date.now()));
    for (const { ref } of expired) {
      const files = await IngestFiles.take(`${this.files.directory}/ingest`, `${namespace}/${ref}`);
      if (files === "in use") continue;
      await database.transaction(() => this.#forgetIngest(ref));
      files?.remove();
    }
  }

  #remove(digest: Digest, undo: Undo): string | undefined {
    const { database, namespace } = this.objects;
    database.run("DELETE FROM blobs WHERE namespace = ? AND digest = ?", namespace, digest);
    this.objects.forget("content", digest);
    const others = database.get("SELECT namespace FROM blobs WHERE digest = ? LIMIT 1", digest);
    return others === undefined ? this.trash.take(this.files.path(digest), undo) : undefined;
  }
}

function missing(digest: Digest, cause?: unknown): Failure {
  return new Failure("NotFound", `blob ${digest} does not exist`, cause === undefined ? {} : { cause });
}
