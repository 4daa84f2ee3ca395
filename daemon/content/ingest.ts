/**
 * The writer of one blob.
 *
 * @module
 */
import type { Hash } from "node:crypto";
import { type Digest, parseDigest, splitDigest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import { diskFailure } from "../metadata/disk_failure.ts";
import type { Labels } from "../metadata/label_refs.ts";
import { chunkBytesMax, hashFile } from "./hash_file.ts";
import type { IngestFiles, IngestStatus } from "./ingest_files.ts";

/** How a commit came out: `existed` where the namespace had the blob already, and the bytes went. */
export type Published = "created" | "existed";

/** What an ingest needs of the store that it belongs to. */
export interface IngestStore {
  /** What a commit leads to: the row, and the file in its place. */
  publish(digest: Digest, size: number, labels: Labels): Promise<Published>;
  /** Removes the row of the ingest. */
  forget(): Promise<void>;
}

/** Options of {@link Ingest.commit}. */
export interface CommitOptions {
  /** What the content must be. */
  readonly expected?: Digest;
  /** Bytes that there must be. */
  readonly size?: number;
  readonly labels?: Labels;
  /** The digest of all bytes of {@link Ingest.dataPath}, from one who has computed it while writing them there. */
  readonly computed?: Digest;
}

/** Up to so many bytes are written at once: to hand them to another thread takes longer. */
const smallBytesMax = 64 * 1024;

/**
 * A write in progress, which this process alone has. It ends in one of three ways:
 * - `commit`: the bytes are a blob;
 * - `close` (or leaving the scope): the bytes stay, and the next writer of the same ref goes on from there, also after
 *   the process was killed;
 * - `abort`: the bytes are gone.
 *
 * Bytes are written by {@link write}, or by another thread that appends to {@link dataPath} and computes the digest.
 */
export class Ingest implements Disposable {
  #file: Deno.FsFile | undefined;
  #hash: Hash | undefined;
  #open = true;
  #offset: number;
  /** A write that the disk has not done yet; nobody else may have the file before. */
  #writing = false;
  #releaseLater: (() => void) | undefined;

  /** `algorithm` is that of the digest which the bytes will be known by. */
  constructor(
    readonly ref: string,
    private readonly files: IngestFiles,
    private readonly store: IngestStore,
    readonly algorithm = "sha256",
  ) {
    this.#offset = files.size();
  }

  /** The file of the bytes so far. */
  get dataPath(): string {
    return this.files.data;
  }

  /** Bytes that were there at the opening, and those of {@link write}. */
  get offset(): number {
    return this.#offset;
  }

  /** As it is on disk. */
  status(): IngestStatus {
    this.#mustBeOpen();
    return this.files.status();
  }

  /** The digest of the bytes so far. Where there were some at the opening, they are read first. */
  async digest(): Promise<Digest> {
    this.#mustBeOpen();
    const hash = await this.#hashSoFar();
    // A copy, so that more can be written.
    return parseDigest(`${this.algorithm}:${hash.copy().digest("hex")}`);
  }

  /**
   * Appends. The bytes may not change before it resolves. Throws `ResourceExhausted` where the disk is full; what was
   * written then stays for the next try.
   */
  async write(bytes: Uint8Array): Promise<void> {
    this.#mustBeOpen();
    try {
      const hash = await this.#hashSoFar();
      this.#mustBeOpen();
      const file = this.#file ??= Deno.openSync(this.dataPath, { append: true });
      this.#writing = true;
      // So much is worth to be gone on with, even if we are killed.
      if (this.#offset + bytes.length > smallBytesMax) this.files.describe();
      for (let at = 0; at < bytes.length; at += chunkBytesMax) {
        await this.#append(file, hash, bytes.subarray(at, at + chunkBytesMax));
      }
      if (bytes.length > 0) this.files.touch();
    } catch (error) {
      this.#resynchronize();
      throw diskFailure(error, `store "${this.ref}"`, this.dataPath);
    } finally {
      this.#writing = false;
      this.#releaseLater?.();
    }
  }

  /** Another thread copies the bytes into the file while this one hashes them. */
  async #append(file: Deno.FsFile, hash: Hash, bytes: Uint8Array): Promise<void> {
    let done = 0;
    if (bytes.length <= smallBytesMax) {
      while (done < bytes.length) done += file.writeSync(bytes.subarray(done));
      hash.update(bytes);
    } else {
      const first = file.write(bytes);
      hash.update(bytes);
      done = await first;
      while (done < bytes.length) done += await file.write(bytes.subarray(done));
    }
    this.#offset += bytes.length;
  }

  /** After a failure the file may have less than was hashed. */
  #resynchronize(): void {
    this.#hash = undefined;
    try {
      this.#offset = this.files.size();
    } catch {
      // The disk has failed once, and that failure is told; whoever goes on will meet this one.
    }
  }

  /** Throws the bytes away and begins again at 0. */
  truncate(): void {
    this.#mustBeOpen();
    this.files.truncate();
    this.#hash = undefined;
    this.#offset = 0;
  }

  async #hashSoFar(): Promise<Hash> {
    if (this.#hash === undefined) {
      const hash = await hashFile(this.dataPath, this.algorithm, this.#offset);
      this.#hash = hash;
    }
    return this.#hash;
  }

  async #digestBy(algorithm: string): Promise<Digest> {
    if (algorithm === this.algorithm) return await this.digest();
    const hash = await hashFile(this.dataPath, algorithm, this.#offset);
    return parseDigest(`${algorithm}:${hash.digest("hex")}`);
  }

  /**
   * Makes the bytes a blob and answers its digest: synchronises them to disk, moves the file to its place and adds the
   * row. Where the blob is there already the bytes go, and the store says by `published` what that means.
   *
   * Throws `FailedPrecondition` where size or digest are not as expected. After any failure the write is still open,
   * to be closed or aborted.
   */
  async commit(options: CommitOptions = {}): Promise<Digest> {
    return (await this.publish(options)).digest;
  }

  /** As {@link commit}, and says whether the blob was there already. */
  async publish(options: CommitOptions = {}): Promise<{ digest: Digest; size: number; published: Published }> {
    this.#mustBeOpen();
    try {
      const size = this.files.size();
      if (options.size !== undefined && options.size !== size) {
        throw new Failure("FailedPrecondition", `commit "${this.ref}": it has ${size} bytes, expected ${options.size}`);
      }
      const algorithm = options.expected === undefined ? this.algorithm : splitDigest(options.expected).algorithm;
      const digest = options.computed ?? await this.#digestBy(algorithm);
      if (options.expected !== undefined && options.expected !== digest) {
        const message = `unexpected commit digest ${digest}, expected ${options.expected}`;
        throw new Failure("FailedPrecondition", message);
      }
      await this.#synchronize();
      this.#mustBeOpen();
      const published = await this.store.publish(digest, size, options.labels ?? {});
      this.#open = false;
      this.#file?.close();
      this.files.remove();
      return { digest, size, published };
    } catch (error) {
      throw diskFailure(error, `store "${this.ref}"`, this.dataPath);
    }
  }

  /** Waits until the bytes, and not necessarily their times, are on disk. Off the main thread. */
  async #synchronize(): Promise<void> {
    this.#file ??= Deno.openSync(this.dataPath, { append: true });
    await this.#file.syncData();
  }

  /** Throws the bytes away. */
  async abort(): Promise<void> {
    if (!this.#open) return;
    const { isRemoved } = this.files;
    this.#end(() => this.files.remove());
    // Otherwise the ref may be another writer's by now.
    if (!isRemoved) await this.store.forget();
  }

  /** Keeps the bytes for the next writer, once those under way are written. A second call does nothing. */
  close(): void {
    if (this.#open) this.#end(() => this.files.close());
  }

  #end(release: () => void): void {
    this.#open = false;
    const finish = () => {
      this.#releaseLater = undefined;
      this.#file?.close();
      this.#file = undefined;
      release();
    };
    if (this.#writing) this.#releaseLater = finish;
    else finish();
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new Failure("FailedPrecondition", `the write of "${this.ref}" has ended already`);
    if (this.files.isRemoved) {
      throw new Failure("Aborted", `the write of "${this.ref}" was aborted by another call`);
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
