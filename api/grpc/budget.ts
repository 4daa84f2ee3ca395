/**
 * How much the calls of one connection may hold in memory. There is no limit on how many calls there are: a hundred
 * that wait for containers' ends cost little, and a limit on them would stop everything else.
 *
 * @module
 */
import { Refusal } from "./refusal.ts";

/** What a call costs besides its messages, in bytes. */
export const callBytes = 2_048;
/** What a message that waits costs besides its bytes. */
export const messageBytes = 128;
/** Default of {@link Budget}: eight of the largest messages. */
export const budgetBytesMax = 128 << 20;
/** Handlers that go on although their callers gave up; a client that makes more than these has to wait. */
const abandonedMax = 1_000;

/** What the calls of a connection hold: requests that came and were not taken, answers that wait for a window. */
export class Budget {
  #held = 0;
  #abandoned = 0;

  constructor(private readonly bytesMax: number) {}

  /** Whether another call can be taken. */
  get takesCalls(): boolean {
    return this.#held + callBytes <= this.bytesMax && this.#abandoned < abandonedMax;
  }

  /** Counts bytes that are held from now on. Throws `ResourceExhausted`, and counts nothing, where they are too many. */
  take(bytes: number): void {
    if (this.#held + bytes > this.bytesMax) {
      throw new Refusal("ResourceExhausted", `grpc: the calls of the connection hold more than ${this.bytesMax} bytes`);
    }
    this.#held += bytes;
  }

  /** Bytes that are held no more. */
  give(bytes: number): void {
    this.#held -= bytes;
  }

  /** A call has ended before its handler. */
  abandon(): void {
    this.#abandoned++;
  }

  /** Such a handler has ended. */
  settle(): void {
    this.#abandoned--;
  }

  /** Bytes that are held. */
  get held(): number {
    return this.#held;
  }
}
