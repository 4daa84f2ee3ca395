/**
 * Writers as the API knows them: one that never waits for another, and one that needs no bytes because another namespace
 * has them.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { Undo } from "../metadata/database.ts";
import type { Labels } from "../metadata/label_refs.ts";
import type { SharingPolicy } from "./blob_rows.ts";
import type { ContentStore } from "./content_store.ts";
import type { Ingest, Published } from "./ingest.ts";
import { type IngestKeeping, ingestLifetimeMs } from "./ingests.ts";

/** Options of {@link openWriter}. */
export interface WriterOptions {
  /** What it will be. */
  readonly expected: Digest | undefined;
  /** Its bytes in all; 0 where that is not known. */
  readonly total: number;
  readonly lease: string | undefined;
  /** Whose blobs may be taken over. */
  readonly policy: SharingPolicy;
}

/** What a writer is to become at its end. */
export interface WriterCommit {
  readonly expected: Digest | undefined;
  /** 0 where that is not known. */
  readonly total: number;
  readonly labels: Labels;
}

/** A blob as a commit made it. */
export interface Committed {
  readonly digest: Digest;
  readonly size: number;
}

/**
 * A write in progress. It has bytes of its own, or is about to take over those of another namespace: then it is at its
 * end from the beginning, and gets bytes of its own only when it is truncated or written to. One call at a time, but
 * `close` at any time.
 */
export class ContentWriter {
  readonly #store: ContentStore;
  readonly #options: WriterOptions;
  readonly #opened = wallTimeMs();
  #source: Ingest | Committed;
  #closed = false;

  constructor(store: ContentStore, readonly ref: string, source: Ingest | Committed, options: WriterOptions) {
    this.#store = store;
    this.#options = options;
    this.#source = source;
  }

  /** Bytes so far. */
  get offset(): number {
    return "size" in this.#source ? this.#source.size : this.#source.offset;
  }

  /** When it was begun, and last written to, in milliseconds since 1970. */
  times(): { started: number; updated: number } {
    if ("size" in this.#source) return { started: this.#opened, updated: this.#opened };
    const { started, updated } = this.#source.status();
    return { started, updated };
  }

  /** The digest of the bytes so far. */
  async digest(): Promise<Digest> {
    return "size" in this.#source ? this.#source.digest : await this.#source.digest();
  }

  /** Throws the bytes so far away. */
  async truncate(): Promise<void> {
    (await this.#ownBytes("none")).truncate();
  }

  /** Appends. The bytes may not change before it resolves. Throws `ResourceExhausted`, `Aborted`. */
  async write(bytes: Uint8Array): Promise<void> {
    await (await this.#ownBytes("all")).write(bytes);
  }

  /** Leaves the other namespace's blob alone. */
  async #ownBytes(keep: "all" | "none"): Promise<Ingest> {
    if (!("size" in this.#source)) return this.#source;
    const { digest } = this.#source;
    const { ingests, objects } = this.#store;
    const { lease, total, expected } = this.#options;
    const files = await ingests.open(this.ref, total);
    try {
      files.truncate();
      if (keep === "all") await Deno.copyFile(this.#store.path(digest), files.data);
      await Deno.chmod(files.data, 0o644);
      await objects.database.transaction(() => ingests.enter(this.ref, keeping(lease)), { durable: false });
    } catch (error) {
      files.remove();
      throw error;
    }
    const ingest = ingests.writer(this.ref, files, { lease, expected, existing: "refuse" });
    this.#source = ingest;
    if (this.#closed) ingest.close();
    return ingest;
  }

  /**
   * Makes the bytes a blob of the namespace. The writer is closed after any outcome; where size or digest are not as
   * expected (`FailedPrecondition`) the bytes stay for the next one. Throws `AlreadyExists` where the namespace has the
   * blob: it is under the lease then, and the bytes are gone.
   */
  async commit({ expected, total, labels }: WriterCommit): Promise<Committed> {
    try {
      if (total !== 0 && total !== this.offset) {
        const message = `"${this.ref}" failed size validation: ${this.offset} != ${total}`;
        throw new Failure("FailedPrecondition", message);
      }
      const { published, ...blob } = "size" in this.#source
        ? await this.#takeOver(this.#source, expected, labels)
        : await this.#source.publish({ ...(expected === undefined ? {} : { expected }), labels });
      if (published === "existed") throw new Failure("AlreadyExists", `content ${blob.digest}`);
      return blob;
    } finally {
      this.close();
    }
  }

  async #takeOver(
    { digest, size }: Committed,
    expected: Digest | undefined,
    labels: Labels,
  ): Promise<Committed & { published: Published }> {
    if (expected !== undefined && expected !== digest) {
      throw new Failure("FailedPrecondition", `"${this.ref}" unexpected commit digest ${digest}, expected ${expected}`);
    }
    const { rows, ingests, objects } = this.#store;
    const { lease } = this.#options;
    const published = await objects.database.transaction((undo): Published | "gone" => {
      const existed = rows.claimOwn(digest, lease, undo);
      const taken = existed || rows.claim(digest, { size, lease }, undo);
      ingests.forget(this.ref, undo);
      if (!taken) return "gone";
      if (!existed) objects.initLabels("content", digest, labels);
      return existed ? "existed" : "created";
    });
    if (published === "gone") {
      throw new Failure(
        "NotFound",
        `content ${digest}: its file has gone from the disk or is not whole: send the bytes`,
      );
    }
    return { digest, size, published };
  }

  /** Keeps the bytes for the next writer of the ref, and lets go. A second call does nothing. */
  close(): void {
    this.#closed = true;
    if (!("size" in this.#source)) this.#source.close();
  }
}

function keeping(lease: string | undefined): IngestKeeping {
  return { lease, lifetimeMs: lease === undefined ? ingestLifetimeMs : 0 };
}

/**
 * Begins a write, or goes on with one that was interrupted. Throws `AlreadyExists` where the namespace has the expected
 * blob (it is under the lease then), `Unavailable` where another writes the same ref, `NotFound` for a lease that is
 * none.
 */
export async function openWriter(store: ContentStore, ref: string, options: WriterOptions): Promise<ContentWriter> {
  const { ingests, objects: { database } } = store;
  const { expected, lease } = options;
  // Most have nothing there, and need neither a transaction of its own nor a directory for finding out.
  if (expected !== undefined && await database.read(() => isThere(store, expected, options))) {
    const blob = await database.transaction((undo) => takeUp(store, ref, expected, options, undo));
    if (blob === "exists") throw new Failure("AlreadyExists", `content ${expected}`);
    if (blob !== undefined) return new ContentWriter(store, ref, blob, options);
  }
  const files = await ingests.open(ref, options.total);
  try {
    // A row that a power cut takes leaves a directory, with which the next writer goes on just the same.
    await database.transaction(() => ingests.enter(ref, keeping(lease)), { durable: false });
  } catch (error) {
    if (files.size() === 0) files.remove();
    else files.close();
    throw error;
  }
  const ingest = ingests.writer(ref, files, { lease, expected, existing: "refuse" });
  return new ContentWriter(store, ref, ingest, options);
}

function isThere({ rows }: ContentStore, digest: Digest, { policy }: WriterOptions): boolean {
  return rows.row(digest) !== undefined || rows.shareableSize(digest, policy) !== undefined;
}

/** The blob that another namespace has and this one may take over; undefined where the bytes have to be sent. */
function takeUp(
  { rows, ingests }: ContentStore,
  ref: string,
  digest: Digest,
  { lease, total, policy }: WriterOptions,
  undo: Undo,
): Committed | "exists" | undefined {
  if (rows.claimOwn(digest, lease, undo)) return "exists";
  const size = rows.shareableSize(digest, policy);
  if (size === undefined || (total !== 0 && total !== size)) return undefined;
  ingests.enter(ref, keeping(lease), digest);
  return { digest, size };
}
