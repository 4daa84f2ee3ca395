/**
 * Messages of a stream on their way to whoever reads them.
 *
 * @module
 */

/** A queue with an end, read by one reader as an async iterator. */
export class Inbox<T> implements AsyncIterableIterator<T> {
  readonly #items: T[] = [];
  #ended = false;
  #error: { readonly reason: unknown } | undefined;
  #waiting: PromiseWithResolvers<IteratorResult<T>> | undefined;

  /** `onEmpty`: all that came was taken; `onReturn`: the reader wants no more. */
  constructor(private readonly onEmpty: () => void, private readonly onReturn: () => void) {}

  /** Whether all that came was taken. */
  get empty(): boolean {
    return this.#items.length === 0;
  }

  /** Adds an item. */
  push(item: T): void {
    const waiting = this.#waiting;
    if (waiting === undefined) {
      this.#items.push(item);
      return;
    }
    this.#waiting = undefined;
    waiting.resolve({ done: false, value: item });
  }

  /** Ends it after what came. */
  end(): void {
    this.#ended = true;
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
  }

  /** Ends it with an error, after what came. */
  fail(reason: unknown): void {
    if (this.#ended) return;
    this.#error ??= { reason };
    this.#waiting?.reject(reason);
    this.#waiting = undefined;
  }

  /** The next item. */
  next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      if (this.#items.length === 0) this.onEmpty();
      return Promise.resolve({ done: false, value: item });
    }
    if (this.#error !== undefined) return Promise.reject(this.#error.reason);
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** The reader wants no more. */
  return(): Promise<IteratorResult<T>> {
    this.#items.length = 0;
    this.#ended = true;
    this.onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
