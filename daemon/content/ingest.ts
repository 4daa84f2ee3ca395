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
import type { IngestFiles } from "./ingest_files.ts";

/** What a commit leads to: the row, and the file in its place. Given by the content store. */
export type Publish = (digest: Digest, size: number, labels: Labels) => Promise<void>;

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

const chunkBytes = 1 << 20;

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

  constructor(
    readonly ref: string,
    private readonly files: IngestFiles,
    private readonly publish: Publish,
    private readonly forget: () => Promise<void>,
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

  /** Appends. Throws `ResourceExhausted` where the disk is full; what was written then stays for the next try. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#mustBeOpen();
    const hash = await this.#hashSoFar();
    try {
      this.#file ??= Deno.openSync(this.dataPath, { append: true });
      for (let done = 0; done < bytes.length;) {
        const taken = this.#file.writeSync(bytes.subarray(done));
        hash.update(bytes.subarray(done, done + taken));
        done += taken;
        this.#offset += taken;
      }
    } catch (error) {
      throw diskFailure(error, `store "${this.ref}"`, this.dataPath);
    }
  }

  /** Throws the bytes away and begins again at 0. */
  truncate(): void {
    this.#mustBeOpen();
    this.files.truncate();
    this.#hash = undefined;
    this.#offset = 0;
  }

  async #hashSoFar(algorithm?: string): Promise<Hash> {
    if (this.#hash !== undefined && algorithm === undefined) return this.#hash;
    const { createHash } = await import("node:crypto");
    const hash = createHash(algorithm ?? "sha256");
    using file = Deno.openSync(this.dataPath);
    const chunk = new Uint8Array(chunkBytes);
    for (let taken; (taken = await file.read(chunk)) !== null;) hash.update(chunk.subarray(0, taken));
    if (algorithm === undefined) this.#hash = hash;
    return hash;
  }

  async #digest(algorithm: string): Promise<Digest> {
    const hash = algorithm === "sha256" ? await this.#hashSoFar() : await this.#hashSoFar(algorithm);
    // A copy, so that more can be written where the commit fails.
    return parseDigest(`${algorithm}:${hash.copy().digest("hex")}`);
  }

  /**
   * Makes the bytes a blob and answers its digest: synchronises them to disk, moves the file to its place and adds the
   * row. A blob that is there already is success: the bytes go.
   *
   * Throws `FailedPrecondition` where size or digest are not as expected. After any failure the write is still open,
   * to be closed or aborted.
   */
  async commit(options: CommitOptions = {}): Promise<Digest> {
    this.#mustBeOpen();
    try {
      const size = this.files.size();
      if (options.size !== undefined && options.size !== size) {
        throw new Failure("FailedPrecondition", `commit "${this.ref}": it has ${size} bytes, expected ${options.size}`);
      }
      const algorithm = options.expected === undefined ? "sha256" : splitDigest(options.expected).algorithm;
      const digest = options.computed ?? await this.#digest(algorithm);
      if (options.expected !== undefined && options.expected !== digest) {
        const message = `commit "${this.ref}": its digest is ${digest}, expected ${options.expected}`;
        throw new Failure("FailedPrecondition", message);
      }
      await synchronize(this.dataPath);
      await this.publish(digest, size, options.labels ?? {});
      this.#release();
      this.files.remove();
      return digest;
    } catch (error) {
      throw diskFailure(error, `store "${this.ref}"`, this.dataPath);
    }
  }

  /** Throws the bytes away. */
  async abort(): Promise<void> {
    if (!this.#open) return;
    this.#release();
    this.files.remove();
    await this.forget();
  }

  /** Keeps the bytes for the next writer. A second call does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#release();
    this.files.close();
  }

  #release(): void {
    this.#open = false;
    this.#file?.close();
    this.#file = undefined;
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new Failure("FailedPrecondition", `the write of "${this.ref}" has ended already`);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

async function synchronize(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  await file.sync();
}
