/**
 * The content store: blobs by digest.
 *
 * @module
 */
import { type Digest, splitDigest } from "../../api/digest.ts";
import { Failure, isFailure } from "../../api/errors.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { Undo } from "../metadata/database.ts";
import type { Labels } from "../metadata/label_refs.ts";
import type { Objects } from "../metadata/objects.ts";
import { pagesOf, type PageSource } from "../metadata/pages.ts";
import type { Trash } from "../metadata/trash.ts";
import { digestOf } from "../sources/digest_of.ts";
import { BlobFiles } from "./blob_files.ts";
import { type BlobInfo, type BlobRow, BlobRows } from "./blob_rows.ts";
import type { Ingest } from "./ingest.ts";
import { ingestLifetimeMs, Ingests } from "./ingests.ts";
import { type BlobState, verifyBlob } from "./verify.ts";

export type { BlobInfo } from "./blob_rows.ts";

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

const pages: PageSource<BlobRow, BlobInfo> = {
  kind: "content",
  sql: "SELECT digest, size, created, updated FROM blobs WHERE namespace = ? AND digest > ? ORDER BY digest LIMIT ?",
  keyOf: ({ digest }) => digest,
  info: (row, labels) => ({ ...row, labels }),
};

/**
 * The blobs of one namespace. The files are shared by all namespaces; a blob exists in a namespace by its row. A file
 * without any row is one whose writer died in the last moment, or which is about to be collected.
 */
export class ContentStore {
  readonly files: BlobFiles;
  /** The rows of the blobs; what it does belongs into transactions. */
  readonly rows: BlobRows;
  /** The unfinished writes. */
  readonly ingests: Ingests;

  constructor(readonly objects: Objects, directory: string, private readonly trash: Trash) {
    this.files = new BlobFiles(directory);
    this.rows = new BlobRows(objects, this.files, trash);
    this.ingests = new Ingests(this.rows);
  }

  /** Path of a blob's file, for reading. Whether it exists is not looked at. */
  path(digest: Digest): string {
    return this.files.path(digest);
  }

  /**
   * All bytes of a small blob, such as a manifest. Throws `NotFound`, and `DataLoss` where a disk has changed them: its
   * size alone does not say that it is what its digest says.
   */
  async read(digest: Digest): Promise<Uint8Array<ArrayBuffer>> {
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = Deno.readFileSync(this.files.path(digest));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw missing(digest, error);
      throw error;
    }
    const actual = await digestOf(bytes, splitDigest(digest).algorithm);
    if (actual === digest) return bytes;
    throw new Failure(
      "DataLoss",
      `content ${digest} has changed on disk, its digest is ${actual} there: pull its image again, or see barge doctor --hash`,
    );
  }

  /** The blob, or undefined where the namespace has none. */
  async find(digest: Digest): Promise<BlobInfo | undefined> {
    return await this.objects.database.read(() => this.rows.find(digest));
  }

  /** The blob. Throws `NotFound`. */
  async info(digest: Digest): Promise<BlobInfo> {
    const info = await this.find(digest);
    if (info === undefined) throw missing(digest);
    return info;
  }

  /** The blob without its labels. Throws `NotFound`. */
  async row(digest: Digest): Promise<BlobRow> {
    const row = await this.objects.database.read(() => this.rows.row(digest));
    if (row === undefined) throw missing(digest);
    return row;
  }

  /** All blobs, by digest. */
  async list(): Promise<BlobInfo[]> {
    const all: BlobInfo[] = [];
    for await (const page of this.pages()) all.push(...page);
    return all;
  }

  /** All blobs, by digest, some at a time. */
  pages(signal?: AbortSignal): AsyncGenerator<BlobInfo[]> {
    return pagesOf(this.objects, pages, signal);
  }

  /**
   * Puts a blob under the lease, if it is there, and says whether. From then on the caller can rely on it. A file that
   * another namespace has is taken over; one that has not the right size is thrown away.
   */
  async claim(digest: Digest, options: { size?: number; lease?: string | undefined }): Promise<boolean> {
    return await this.objects.database.transaction((undo) => this.rows.claim(digest, options, undo));
  }

  /**
   * Begins a write, or goes on with one that was interrupted. Waits while another, also another process, writes the
   * same ref. Throws `AlreadyExists` where the blob is there (it is under the lease then), the signal's reason when it
   * is aborted.
   */
  async openIngest(ref: string, options: IngestOptions): Promise<Ingest> {
    const { expected, lease, signal } = options;
    const existing = () =>
      new Failure("AlreadyExists", `blob ${expected} exists already, so "${ref}" need not be written`);
    const claim = { ...(options.size === undefined ? {} : { size: options.size }), lease };
    if (expected !== undefined && await this.claim(expected, claim)) throw existing();
    const files = await this.ingests.open(ref, options.size, signal);
    let exists = false;
    try {
      await this.objects.database.transaction((undo) => {
        exists = expected !== undefined && this.rows.claim(expected, claim, undo);
        if (!exists) this.ingests.enter(ref, { lease, lifetimeMs: ingestLifetimeMs });
      });
    } catch (error) {
      files.close();
      throw error;
    }
    if (exists) {
      files.remove();
      throw existing();
    }
    return this.ingests.writer(ref, files, { lease, expected, existing: "merge" });
  }

  /**
   * Stores a few bytes as a blob, and says whether it is a new one: a blob that is there already is success as well.
   * Throws `FailedPrecondition` as commit.
   */
  async put(
    ref: string,
    bytes: Uint8Array,
    options: IngestOptions & { labels?: Labels },
  ): Promise<boolean> {
    let ingest: Ingest;
    try {
      ingest = await this.openIngest(ref, options);
    } catch (error) {
      if (!isFailure(error, "AlreadyExists") || options.expected === undefined) throw error;
      if (options.labels !== undefined) await this.addLabels(options.expected, options.labels);
      return false;
    }
    try {
      if (ingest.offset > 0) ingest.truncate();
      await ingest.write(bytes);
      const { expected, size, labels } = options;
      const { published } = await ingest.publish({
        ...(expected === undefined ? {} : { expected }),
        ...(size === undefined ? {} : { size }),
        ...(labels === undefined ? {} : { labels }),
      });
      return published === "created";
    } catch (error) {
      await ingest.abort();
      throw error;
    }
  }

  /** Adds or changes labels of a blob; an empty value removes one. Throws `NotFound`. */
  async addLabels(digest: Digest, labels: Labels): Promise<void> {
    const old = await this.info(digest);
    // Most blobs of a pull have theirs from the time before, and a commit is a disk's synchronisation.
    if (Object.entries(labels).every(([key, value]) => (old.labels[key] ?? "") === value)) return;
    await this.update(digest, (stored) => ({ ...stored.labels, ...labels }));
  }

  /**
   * Replaces the labels of a blob by what the function makes of it, and gives it as it is then. Throws `NotFound`, and
   * what the function throws.
   */
  async update(digest: Digest, change: (stored: BlobInfo) => Labels): Promise<BlobInfo> {
    const { database, namespace } = this.objects;
    return await database.transaction(() => {
      const stored = this.rows.find(digest);
      if (stored === undefined) throw missing(digest);
      const labels = change(stored);
      const updated = wallTimeMs();
      database.run("UPDATE blobs SET updated = ? WHERE namespace = ? AND digest = ?", updated, namespace, digest);
      this.objects.setLabels("content", digest, labels);
      return { ...stored, updated, labels: this.objects.labels("content", digest) };
    });
  }

  /** Removes the blob from the namespace, and its file where no other namespace has it. Throws `NotFound`. */
  async delete(digest: Digest): Promise<void> {
    const { database } = this.objects;
    const clean = await database.transaction((undo) => this.deleteInside(digest, undo), { frees: true });
    await clean();
  }

  /**
   * Removes a blob whose file is not what its digest says, and the file although other namespaces have it: the next one that
   * is stored is theirs too. Does nothing where the file is whole by now, as another has brought it meanwhile.
   */
  async deleteDamaged(digest: Digest, signal: AbortSignal): Promise<void> {
    const { database } = this.objects;
    const identity = this.files.identity(digest);
    if ((await verifyBlob(this.files, digest, undefined, signal)).state === "whole") return;
    const place = await database.transaction((undo) => {
      const isSame = this.files.identity(digest) === identity;
      return isSame ? this.rows.removeDamaged(digest, undo) : undefined;
    }, { frees: true });
    await this.trash.remove(place);
  }

  /** As {@link delete}, inside a transaction of the caller's. Gives what is to be done after it. */
  deleteInside(digest: Digest, undo: Undo): () => Promise<void> {
    if (this.rows.row(digest) === undefined) throw missing(digest);
    const place = this.rows.remove(digest, undo);
    return () => this.trash.remove(place);
  }

  /**
   * Puts files back in their places, of any namespace, whose deletion was under way when its process was killed: the
   * rows are there still. To be called before the trash is emptied.
   */
  async restoreInterrupted(): Promise<void> {
    // Most often there is nothing, and no need to wait for those who write.
    if (Deno.readDirSync(this.trash.directory)[Symbol.iterator]().next().done === true) return;
    await this.objects.database.transaction(() => this.rows.restore(), { frees: true });
  }

  /** Reads a blob and says whether it is what its digest says; see {@link verifyBlob}. Throws `NotFound`. */
  async verify(digest: Digest, signal: AbortSignal): Promise<BlobState> {
    const { size } = await this.info(digest);
    return await verifyBlob(this.files, digest, size, signal);
  }

  /** Removes unfinished writes that nobody has gone on with for a day, and that no lease keeps. */
  async discardExpiredIngests(): Promise<void> {
    await this.ingests.discardExpired();
  }
}

function missing(digest: Digest, cause?: unknown): Failure {
  return new Failure("NotFound", `content digest ${digest}`, cause === undefined ? {} : { cause });
}
