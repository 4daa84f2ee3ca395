/**
 * What goes out over a connection: everything that is said in one turn goes in one write.
 *
 * @module
 */
import type { Connection } from "../rpc/connection.ts";

/** What is kept while nothing is to be sent. */
const idleBytes = 1024;
/** A buffer up to this size is used again. */
const keptBytesMax = 1 << 16;

/** The bytes that wait to be written. */
export class Output {
  #buffer = new Uint8Array(idleBytes);
  #spare: Uint8Array<ArrayBuffer> | undefined;
  #length = 0;
  #writing = 0;
  #scheduled = false;
  #failed = false;
  #drained: PromiseWithResolvers<void> | undefined;

  /** `onFailed` is called once, when the socket takes nothing any more. */
  constructor(private readonly connection: Connection, private readonly onFailed: (error: unknown) => void) {}

  /** Bytes that are not written yet. */
  get backlog(): number {
    return this.#length + this.#writing;
  }

  /** Resolved when all is written, or will never be. */
  get drained(): Promise<void> {
    if (this.backlog === 0 || this.#failed) return Promise.resolve();
    return (this.#drained ??= Promise.withResolvers()).promise;
  }

  /** Room for so many bytes: gives the buffer and the position to write them to, at once. */
  reserve(bytes: number): { buffer: Uint8Array; at: number } {
    const at = this.#length, wanted = at + bytes;
    if (wanted > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(wanted, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
    }
    if (this.#failed) return { buffer: this.#buffer, at };
    this.#length = wanted;
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => void this.#drain());
    }
    return { buffer: this.#buffer, at };
  }

  async #drain(): Promise<void> {
    try {
      while (this.#length > 0) {
        const full = this.#buffer, length = this.#length;
        this.#buffer = this.#spare ?? new Uint8Array(idleBytes);
        this.#spare = undefined;
        this.#length = 0;
        this.#writing = length;
        for (let done = 0; done < length;) done += await this.connection.write(full.subarray(done, length));
        this.#writing = 0;
        this.#spare = full.length <= keptBytesMax ? full : undefined;
      }
    } catch (error) {
      this.#failed = true;
      this.#length = this.#writing = 0;
      this.onFailed(error);
    } finally {
      this.#scheduled = false;
      this.#drained?.resolve();
      this.#drained = undefined;
    }
  }
}
