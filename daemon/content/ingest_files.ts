/**
 * An unfinished write on disk: containerd's layout, `ingest/<sha256 of the ref>/{ref,data,startedat,updatedat,total}`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { FileLock } from "../leases/file_lock.ts";

/**
 * The directory of one unfinished write, whose lock this process holds. The lock lies on the directory, which goes when
 * the write is finished: whoever waited for it finds none at its path, and begins again.
 */
export class IngestFiles implements Disposable {
  private constructor(readonly directory: string, readonly lock: FileLock) {}

  /** Path of the bytes so far. */
  get data(): string {
    return `${this.directory}/data`;
  }

  /** Bytes so far. */
  size(): number {
    return Deno.statSync(this.data).size;
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
    const directory = `${ingestDirectory}/${await sha256Hex(ref)}`;
    for (;;) {
      Deno.mkdirSync(directory, { recursive: true });
      let lock: FileLock;
      try {
        lock = await FileLock.acquire(directory, signal);
      } catch (error) {
        // Finished and removed by another between the two steps, or while we waited.
        if (error instanceof Deno.errors.NotFound) continue;
        throw error;
      }
      const files = new IngestFiles(directory, lock);
      try {
        if (!files.#fits(ref, size)) files.#begin(ref, size);
        return files;
      } catch (error) {
        lock.release();
        throw error;
      }
    }
  }

  /** The directory of a ref as it is; undefined where there is none. */
  static async take(ingestDirectory: string, ref: string): Promise<IngestFiles | "in use" | undefined> {
    const directory = `${ingestDirectory}/${await sha256Hex(ref)}`;
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
    if (readText(`${this.directory}/ref`) !== ref) return false;
    if (size === undefined || size === 0) return true;
    const total = readText(`${this.directory}/total`);
    return (total === undefined || Number(total) === size) && this.size() <= size;
  }

  #begin(ref: string, size: number | undefined): void {
    Deno.writeFileSync(this.data, new Uint8Array());
    const now = new Date().toISOString();
    this.#put("startedat", now);
    this.#put("updatedat", now);
    if (size !== undefined && size > 0) this.#put("total", String(size));
    this.#put("ref", ref);
  }

  #put(name: string, text: string): void {
    Deno.writeTextFileSync(`${this.directory}/${name}.tmp`, text);
    Deno.renameSync(`${this.directory}/${name}.tmp`, `${this.directory}/${name}`);
  }

  /** Throws the bytes away and keeps the directory and its lock. */
  truncate(): void {
    Deno.truncateSync(this.data, 0);
  }

  /** Keeps everything on disk for the next one, and lets go. */
  close(): void {
    try {
      this.#put("updatedat", new Date().toISOString());
    } catch {
      // It is information only, and the disk may be full, which is why we stop.
    }
    this.lock.release();
  }

  /** Removes the directory with what is left in it, and lets go. */
  remove(): void {
    Deno.removeSync(this.directory, { recursive: true });
    this.lock.release();
  }

  [Symbol.dispose](): void {
    this.lock.release();
  }
}

function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function sha256Hex(text: string): Promise<string> {
  if (text === "") throw new Failure("InvalidArgument", "an ingest needs a ref that is not empty");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}
