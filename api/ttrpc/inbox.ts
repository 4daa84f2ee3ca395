/**
 * Messages of a stream on their way to whoever reads them.
 *
 * @module
 */

/** A queue with an end, read by one reader as an async iterator. */
export class Inbox<T> implements AsyncIterableIterator<T> {
  #items: { readonly item: T; readonly bytes: number }[] = [];
  #bytes = 0;
  #end: { readonly error?: unknown } | undefined;
  #waiting: PromiseWithResolvers<IteratorResult<T>> | undefined;

  /** `onTaken` is called when an item was taken, `onReturn` when the reader wants no more. */
  constructor(private readonly onTaken: () => void, private readonly onReturn: () => void) {}

  /** Bytes of all that waits. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds an item that was so many bytes long on the wire. */
  push(item: T, bytes: number): void {
    if (this.#end !== undefined) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) return waiting.resolve({ done: false, value: item });
    this.#items.push({ item, bytes });
    this.#bytes += bytes;
  }

  /** Ends it after what came. */
  end(): void {
    this.#finish({});
  }

  /** Ends it with an error, after what came. */
  fail(error: unknown): void {
    this.#finish({ error });
  }

  #finish(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    if ("error" in end) this.#waiting?.reject(end.error);
    else this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
  }

  next(): Promise<IteratorResult<T>> {
    const first = this.#items.shift();
    if (first !== undefined) {
      this.#bytes -= first.bytes;
      this.onTaken();
      return Promise.resolve({ done: false, value: first.item });
    }
    if (this.#end !== undefined) {
      return "error" in this.#end ? Promise.reject(this.#end.error) : Promise.resolve({ done: true, value: undefined });
    }
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }

  return(): Promise<IteratorResult<T>> {
    this.#items = [];
    this.#bytes = 0;
    this.#finish({});
    this.onTaken();
    this.onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
