/**
 * Messages of a stream on their way to whoever reads them.
 *
 * @module
 */

/** Places that were read are given up when there are so many. */
const compactAt = 1_024;

/** What the owner of an {@link Inbox} does. */
export interface InboxEvents<T> {
  /** Called when a message is taken, so that what waits is only its bytes. What it throws goes to the reader. */
  decode(bytes: Uint8Array): T;
  /** A message was taken. */
  onTaken(bytes: Uint8Array): void;
  /** The reader wants no more. */
  onReturn(): void;
}

/** A queue with an end, read by one reader as an async iterator. */
export class Inbox<T> implements AsyncIterableIterator<T> {
  #items: Uint8Array[] = [];
  #first = 0;
  #ended = false;
  #error: { readonly reason: unknown } | undefined;
  #waiting: PromiseWithResolvers<IteratorResult<T>> | undefined;

  constructor(private readonly events: InboxEvents<T>) {}

  /** Whether all that came was taken. */
  get empty(): boolean {
    return this.#first === this.#items.length;
  }

  /** Adds a message. One that comes after the reader has left is dropped. */
  push(bytes: Uint8Array): void {
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      this.#give(bytes, waiting);
    } else if (this.#ended) this.events.onTaken(bytes);
    else this.#items.push(bytes);
  }

  #give(bytes: Uint8Array, reader: PromiseWithResolvers<IteratorResult<T>>): void {
    this.events.onTaken(bytes);
    try {
      reader.resolve({ done: false, value: this.events.decode(bytes) });
    } catch (error) {
      reader.reject(error);
    }
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

  /** The next message. */
  next(): Promise<IteratorResult<T>> {
    if (!this.empty) {
      const reader = Promise.withResolvers<IteratorResult<T>>();
      this.#give(this.#shift(), reader);
      return reader.promise;
    }
    if (this.#error !== undefined) return Promise.reject(this.#error.reason);
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** Array.shift() moves all that is left, and a window holds 200,000 empty messages. */
  #shift(): Uint8Array {
    const bytes = this.#items[this.#first++]!;
    if (this.empty) {
      this.#items.length = this.#first = 0;
    } else if (this.#first >= compactAt && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return bytes;
  }

  /** The reader wants no more. */
  return(): Promise<IteratorResult<T>> {
    this.#ended = true;
    for (const bytes of this.#items.splice(0).slice(this.#first)) this.events.onTaken(bytes);
    this.#first = 0;
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
    this.events.onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
