/**
 * The streams of one connection and their numbers (RFC 9113 section 5.1.1).
 *
 * @module
 */
import { windowMax } from "./frames.ts";
import type { Stream } from "./stream.ts";

/** Streams that have not ended, and which numbers were used. */
export class StreamTable {
  readonly #streams = new Map<number, Stream>();
  #nextOwn = 1;
  /** The peer's SETTINGS_MAX_CONCURRENT_STREAMS. */
  #peerMax = Infinity;
  #room: PromiseWithResolvers<void> | undefined;
  /** The highest number of a stream that the peer opened. */
  lastOfPeer = 0;

  constructor(private readonly role: "server" | "client") {}

  /** How many have not ended. */
  get size(): number {
    return this.#streams.size;
  }

  /** The number for a stream of ours. Clients have the odd ones. */
  nextNumber(): number {
    const number = this.#nextOwn;
    this.#nextOwn += 2;
    return number;
  }

  /** Whether the numbers are used up, after a thousand million calls: the next ones need another connection. */
  get exhausted(): boolean {
    return this.#nextOwn > windowMax;
  }

  /** Whether no stream had this number yet. */
  isIdle(id: number): boolean {
    const ownParity = this.role === "client" ? 1 : 0;
    return id % 2 === ownParity ? id >= this.#nextOwn : id > this.lastOfPeer;
  }

  /** The stream of that number, where it has not ended. */
  get(id: number): Stream | undefined {
    return this.#streams.get(id);
  }

  /** Keeps a stream that begins. */
  add(stream: Stream): void {
    this.#streams.set(stream.id, stream);
  }

  /** Whether this very stream has not ended. */
  has(stream: Stream): boolean {
    return this.#streams.has(stream.id);
  }

  /** Forgets one; false where that has happened before. */
  delete(stream: Stream): boolean {
    const known = this.#streams.delete(stream.id);
    this.#tellRoom();
    return known;
  }

  /** The peer takes so many streams of ours at a time. */
  allow(max: number): void {
    this.#peerMax = max;
    this.#tellRoom();
  }

  /** Whether the peer takes another stream now. */
  get hasRoom(): boolean {
    return this.#streams.size < this.#peerMax;
  }

  /** Resolves when {@link hasRoom} may have changed. */
  whenRoom(): Promise<void> {
    return (this.#room ??= Promise.withResolvers<void>()).promise;
  }

  #tellRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** All that have not ended; streams may be deleted meanwhile. */
  values(): IterableIterator<Stream> {
    return this.#streams.values();
  }

  /** Forgets all. */
  clear(): void {
    this.#streams.clear();
    this.#tellRoom();
  }
}
