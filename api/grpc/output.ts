/**
 * What goes out over a connection: everything that is said in one turn goes in one write.
 *
 * @module
 */
import type { Connection } from "../rpc/connection.ts";

/** What is kept while nothing is to be sent; ten thousand idle connections have one each. */
const idleBytes = 512;
/** Memory that a busy connection uses again, as long as it is busy. */
const spareBytesMax = 1 << 20;

/** The bytes that wait to be written. */
export class Output {
  #buffer = new Uint8Array(idleBytes);
  #length = 0;
  #writing: Uint8Array | undefined;
  /** What the last write has left behind. */
  #spare: Uint8Array<ArrayBuffer> | undefined;
  #scheduled = false;
  #failed = false;
  #written: PromiseWithResolvers<void> | undefined;

  /** `onDrained` is called when everything was written, `onFailed` once when the socket takes nothing any more. */
  constructor(
    private readonly connection: Connection,
    private readonly onDrained: () => void,
    private readonly onFailed: () => void,
  ) {}

  /** Bytes that are not written yet. */
  get backlog(): number {
    return this.#length + (this.#writing?.length ?? 0);
  }

  /** Where more than this waits: a promise for a better moment, at which to ask again. */
  whenBelow(bytes: number): Promise<void> | undefined {
    return this.backlog <= bytes ? undefined : (this.#written ??= Promise.withResolvers<void>()).promise;
  }

  #tellWritten(): void {
    this.#written?.resolve();
    this.#written = undefined;
  }

  /** Room for so many bytes: gives the buffer and the position to write them to, at once. */
  reserve(bytes: number): { buffer: Uint8Array; at: number } {
    const at = this.#length, wanted = at + bytes;
    if (wanted > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(wanted, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
    }
    this.#length = wanted;
    if (!this.#scheduled && !this.#failed) {
      this.#scheduled = true;
      queueMicrotask(() => void this.#drain());
    }
    return { buffer: this.#buffer, at };
  }

  /** Queues a copy of the bytes. */
  add(bytes: Uint8Array): void {
    const { buffer, at } = this.reserve(bytes.length);
    buffer.set(bytes, at);
  }

  async #drain(): Promise<void> {
    try {
      while (this.#length > 0) {
        const written = this.#buffer;
        const bytes = this.#writing = written.subarray(0, this.#length);
        this.#buffer = this.#spare ?? new Uint8Array(idleBytes);
        this.#spare = undefined;
        this.#length = 0;
        for (let done = 0; done < bytes.length;) {
          done += await this.connection.write(done === 0 ? bytes : bytes.subarray(done));
        }
        this.#writing = undefined;
        if (written.length <= spareBytesMax) this.#spare = written;
        this.#tellWritten();
        if (this.#length === 0) this.onDrained();
      }
      if (this.#buffer.length > idleBytes) this.#buffer = new Uint8Array(idleBytes);
    } catch {
      // Whatever the reason, the connection is of no use any more, and its reader will see that too.
      this.#failed = true;
      this.#writing = undefined;
      this.#length = 0;
      this.#tellWritten();
      this.onFailed();
    } finally {
      this.#spare = undefined;
      this.#scheduled = false;
    }
  }
}
