/**
 * gRPC's messages in a stream of bytes: five bytes of prefix and the message, cut anywhere.
 *
 * @module
 */
import { Refusal } from "./refusal.ts";

/** Room that a message gets before its bytes are there: who only announces 16 MiB shall not have them. */
const firstRoom = 1 << 16;

/** Puts messages together. */
export class MessageAssembler {
  readonly #prefix = new Uint8Array(5);
  #prefixBytes = 0;
  #body: Uint8Array | undefined;
  #bodyBytes = 0;
  #length = 0;

  /** `bytesMax` limits one message. */
  constructor(private readonly bytesMax: number) {}

  /** Whether a message has begun and not ended. */
  get partial(): boolean {
    return this.#prefixBytes > 0 || this.#body !== undefined;
  }

  /** Bytes of memory that the message which has begun takes. */
  get held(): number {
    return this.#body?.length ?? 0;
  }

  /**
   * Takes bytes and gives the messages that are whole, in memory of their own. Throws `ResourceExhausted` for a message
   * over the limit, `Internal` for a compressed one, which its headers did not announce, and for a wrong flag.
   */
  push(buffer: Uint8Array, from: number, to: number, emit: (message: Uint8Array) => void): void {
    let at = from;
    while (at < to) {
      if (this.#body === undefined) {
        // The usual case: a whole message at once.
        if (this.#prefixBytes === 0 && to - at >= 5) {
          this.#begin(buffer, at);
          at += 5;
        } else {
          this.#prefix[this.#prefixBytes++] = buffer[at++]!;
          if (this.#prefixBytes < 5) continue;
          this.#prefixBytes = 0;
          this.#begin(this.#prefix, 0);
        }
        if (to - at >= this.#length) {
          emit(buffer.slice(at, at + this.#length));
          at += this.#length;
          continue;
        }
        this.#body = new Uint8Array(Math.min(this.#length, Math.max(firstRoom, to - at)));
        this.#bodyBytes = 0;
      }
      at = this.#fill(this.#body, buffer, at, to);
      if (this.#bodyBytes < this.#length) continue;
      const message: Uint8Array = this.#body.subarray(0, this.#length);
      this.#body = undefined;
      emit(message);
    }
  }

  #begin(prefix: Uint8Array, at: number): void {
    const flag = prefix[at]!;
    this.#length = ((prefix[at + 1]! << 24) | (prefix[at + 2]! << 16) | (prefix[at + 3]! << 8) | prefix[at + 4]!) >>> 0;
    if (flag === 1) throw new Refusal("Internal", "grpc: compressed flag set with identity or empty encoding");
    if (flag !== 0) throw new Refusal("Internal", `grpc: received unexpected payload format ${flag}`);
    if (this.#length > this.bytesMax) {
      throw new Refusal(
        "ResourceExhausted",
        `grpc: received message larger than max (${this.#length} vs. ${this.bytesMax})`,
      );
    }
  }

  #fill(body: Uint8Array, buffer: Uint8Array, from: number, to: number): number {
    const bytes = Math.min(to - from, this.#length - this.#bodyBytes);
    let target = body;
    if (this.#bodyBytes + bytes > body.length) {
      target = new Uint8Array(Math.min(this.#length, Math.max(body.length * 2, this.#bodyBytes + bytes)));
      target.set(body.subarray(0, this.#bodyBytes));
      this.#body = target;
    }
    target.set(buffer.subarray(from, from + bytes), this.#bodyBytes);
    this.#bodyBytes += bytes;
    return from + bytes;
  }
}
