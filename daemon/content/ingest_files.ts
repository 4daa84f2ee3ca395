/**
 * An unfinished write on disk: containerd's layout, `ingest/<sha256 of the ref>/{ref,data,startedat,updatedat,total}`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { msOfTimeText, timeText } from "../../api/timestamp.ts";
import { readTextIfThere, removeIfThere } from "../../ffi/if_there.ts";
import { removeTreeSync } from "../../ffi/remove_tree.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import { FileLock } from "../leases/file_lock.ts";
import { newHash } from "./hash_file.ts";

/** What is known of an unfinished write from outside. Times are milliseconds since 1970. */
export interface IngestStatus {
  /** Bytes so far. */
  readonly offset: number;
  /** Bytes that it is to have; 0 where that is not known. */
  readonly total: number;
  readonly started: number;
  readonly updated: number;
}

/** Each attempt fails only where another finishes between two neighbouring calls: so many in a row mean something else. */
const attemptsMax = 100;

/** A directory that this process writes to. */
interface Held {
  readonly since: number;
  removed: boolean;
  /** When it was last written to by us. */
  updated?: number | undefined;
  /** What its files are going to say. */
  unwritten?: { readonly ref: string; readonly total: number; readonly started: number } | undefined;
}

/**
 * The directories that this process has open, by path, whatever store they belong to: the locks of the kernel say that
 * somebody has one, and not since when, and nobody can be told that it is gone.
 */
const held = new Map<string, Held>();

/**
 * The directory of one unfinished write, whose lock this process holds. The lock lies on the directory, which goes when
 * the write is finished: whoever waited for it finds none at its path, and begins again.
 */
export class IngestFiles implements Disposable {
  readonly #held: Held = { since: Date.now(), removed: false };

  private constructor(readonly directory: string, readonly lock: FileLock) {
    held.set(directory, this.#held);
  }

  /** Path of the bytes so far. */
  get data(): string {
    return `${this.directory}/data`;
  }

  /** Whether {@link discardIngestFiles} removed it while we had it: then nothing at its path is ours. */
  get isRemoved(): boolean {
    return this.#held.removed;
  }

  /** Whether there is a file for the bytes. */
  hasData(): boolean {
    try {
      return Deno.lstatSync(this.data).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** Bytes so far. */
  size(): number {
    return Deno.statSync(this.data).size;
  }

  /** The ref that the bytes were written for; undefined where their writer has not {@link describe}d them. */
  ref(): string | undefined {
    return readTextIfThere(`${this.directory}/ref`);
  }

  /** As {@link readIngestStatus}; the directory is complete while we have it. */
  status(): IngestStatus {
    return readStatus(this.directory);
  }

  /**
   * Opens the directory of a ref, or makes it; waits while another holds it. `size` is the expected total, where it is
   * known: what does not fit it, or was begun for another ref, is begun anew.
   */
  static async open(
    ingestDirectory: string,
    ref: string,
    size: number | undefined,
    signal: AbortSignal,
  ): Promise<IngestFiles> {
    const directory = await ingestPath(ingestDirectory, ref);
    return await retryWhileGone(async () => {
      Deno.mkdirSync(directory, { recursive: true });
      const files = IngestFiles.#begin(directory, ref, size, await FileLock.acquire(directory, signal));
      files.describe();
      return files;
    });
  }

  /**
   * As {@link open}, but throws `Unavailable`, in containerd's words, where another holds it. A new one is not
   * {@link describe}d: most writes are over after a message or two.
   */
  static async tryOpen(ingestDirectory: string, ref: string, size: number | undefined): Promise<IngestFiles> {
    const directory = await ingestPath(ingestDirectory, ref);
    return await retryWhileGone(() => {
      Deno.mkdirSync(directory, { recursive: true });
      const lock = FileLock.tryAcquire(directory);
      if (lock === undefined) throw lockedFailure(directory, ref);
      return IngestFiles.#begin(directory, ref, size, lock);
    });
  }

  static #begin(directory: string, ref: string, size: number | undefined, lock: FileLock): IngestFiles {
    const files = new IngestFiles(directory, lock);
    try {
      if (!files.#fits(ref, size)) files.#create(ref, size);
      return files;
    } catch (error) {
      files.#release();
      throw error;
    }
  }

  /** The directory of a ref as it is; undefined where there is none. */
  static async take(ingestDirectory: string, ref: string): Promise<IngestFiles | "in use" | undefined> {
    return IngestFiles.takeAt(await ingestPath(ingestDirectory, ref));
  }

  /** As {@link take}, by the directory's path. */
  static takeAt(directory: string): IngestFiles | "in use" | undefined {
    try {
      const lock = FileLock.tryAcquire(directory);
      return lock === undefined ? "in use" : new IngestFiles(directory, lock);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  #fits(ref: string, size: number | undefined): boolean {
    // It is written last, so its presence says that the others are there.
    if (this.ref() !== ref) return false;
    // The bytes may be in their place already, where a process was killed before it could take away the rest.
    if (!this.hasData()) return false;
    if (size === undefined || size === 0) return true;
    const total = readTextIfThere(`${this.directory}/total`);
    return (total === undefined || Number(total) === size) && this.size() <= size;
  }

  #create(ref: string, size: number | undefined): void {
    for (const name of ["ref", "total"]) removeIfThere(`${this.directory}/${name}`);
    Deno.writeFileSync(this.data, new Uint8Array());
    this.#held.unwritten = { ref, total: size ?? 0, started: wallTimeMs() };
  }

  /** Writes down what the bytes are, so that others can go on with them even if this process is killed. */
  describe(): void {
    const { unwritten } = this.#held;
    if (unwritten === undefined || this.isRemoved) return;
    const put = (name: string, text: string) => Deno.writeTextFileSync(`${this.directory}/${name}`, text);
    put("startedat", timeText(unwritten.started));
    put("updatedat", timeText(unwritten.started));
    if (unwritten.total > 0) put("total", String(unwritten.total));
    put("ref", unwritten.ref);
    this.#held.unwritten = undefined;
  }

  /** Notes that the bytes were written to right now. */
  touch(): void {
    this.#held.updated = wallTimeMs();
  }

  /** Throws the bytes away and keeps the directory and its lock. */
  truncate(): void {
    Deno.truncateSync(this.data, 0);
  }

  /** Keeps everything on disk for the next one, and lets go. */
  close(): void {
    try {
      if (!this.isRemoved) {
        this.describe();
        const { updated } = this.#held;
        if (updated !== undefined) Deno.writeTextFileSync(`${this.directory}/updatedat`, timeText(updated));
      }
    } catch {
      // It is information only, and the disk may be full, which is why we stop.
    }
    this.#release();
  }

  /** Removes the directory with what is left in it, and lets go. */
  remove(): void {
    try {
      if (!this.isRemoved) removeTreeSync(this.directory);
    } finally {
      this.#release();
    }
  }

  #release(): void {
    if (held.get(this.directory) === this.#held) held.delete(this.directory);
    this.lock.release();
  }

  [Symbol.dispose](): void {
    this.#release();
  }
}

/** The directory of a ref. Throws `InvalidArgument` where that is empty. */
async function ingestPath(ingestDirectory: string, ref: string): Promise<string> {
  if (ref === "") throw new Failure("InvalidArgument", "an ingest needs a ref that is not empty");
  return `${ingestDirectory}/${(await newHash("sha256")).update(ref).digest("hex")}`;
}

/** Tries again where the directory was finished and removed by another between two steps, or while we waited. */
async function retryWhileGone<T>(attempt: () => T | Promise<T>): Promise<T> {
  for (let left = attemptsMax;; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) || left === 0) throw error;
    }
  }
}

function lockedFailure(directory: string, ref: string): Failure {
  const since = held.get(directory)?.since;
  if (since === undefined) return new Failure("Unavailable", `ref ${ref} locked by another process`);
  const text = new Date(since).toISOString();
  return new Failure("Unavailable", `ref ${ref} locked for ${(Date.now() - since) / 1000}s (since ${text})`);
}

/** What is known of the unfinished write of a ref; undefined where there is none, or none that is complete. */
export async function readIngestStatus(ingestDirectory: string, ref: string): Promise<IngestStatus | undefined> {
  try {
    return readStatus(await ingestPath(ingestDirectory, ref));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function readStatus(directory: string): IngestStatus {
  const { size, mtime } = Deno.statSync(`${directory}/data`);
  // The kernel's is of whole milliseconds here, and its clock's ticks are some behind: it is the best where a writer was
  // killed.
  const { unwritten, updated: touched = 0 } = held.get(directory) ?? {};
  const written = Math.max(mtime?.getTime() ?? 0, touched);
  // The files of a directory that we have may not be written yet.
  if (unwritten !== undefined) {
    const { total, started } = unwritten;
    return { offset: size, total, started, updated: Math.max(started, written) };
  }
  const time = (name: string) => msOfTimeText(readTextIfThere(`${directory}/${name}`) ?? "");
  const started = time("startedat");
  const updated = time("updatedat");
  return {
    offset: size,
    total: Number(readTextIfThere(`${directory}/total`) ?? 0),
    started: Number.isNaN(started) ? written : started,
    updated: Number.isNaN(updated) ? written : Math.max(updated, written),
  };
}

/**
 * Removes the directory of a ref, also while this process writes to it: its writer finds out when it goes on. Says
 * whether there was one. Throws `Unavailable` where another process has it.
 */
export async function discardIngestFiles(ingestDirectory: string, ref: string): Promise<boolean> {
  const directory = await ingestPath(ingestDirectory, ref);
  const ours = held.get(directory);
  if (ours === undefined) {
    const files = IngestFiles.takeAt(directory);
    if (files === "in use") throw lockedFailure(directory, ref);
    files?.remove();
    return files !== undefined;
  }
  if (ours.removed) return false;
  ours.removed = true;
  removeTreeSync(directory);
  return true;
}
