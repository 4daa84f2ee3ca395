/**
 * The ways that bytes take from one descriptor to another.
 *
 * @module
 */
import { errnoNumber } from "../../ffi/errno.ts";
import { attempt } from "../../ffi/syscall.ts";
import { spliceOnce } from "../../ffi/splice.ts";
import { callInTurn } from "./turns.ts";

/** Moves what is there. */
export interface Mover {
  /** The number of bytes moved, 0 at the end of the input, or a negative errno; a promise where a disk is waited for. */
  move(): number | Promise<number>;
  /** Whether bytes were read that are not yet written: they come before anything else. */
  readonly pending: boolean;
}

/** As much as a pipe holds unless it was made larger. */
const pipeBytes = 65536n;

/** In the kernel: no byte is copied between pipes. */
export function splicing(from: number, to: number): Mover {
  return { move: () => spliceOnce(from, to, pipeBytes), pending: false };
}

const bufferBytes = 65536;
const buffersKeptMax = 4;
const spare: Uint8Array<ArrayBuffer>[] = [];

/** Bytes that were read and not written yet. The buffer is one of a few that all streams share while they have none. */
class Chunk {
  readonly #buffer = spare.pop() ?? new Uint8Array(bufferBytes);
  #start = 0;
  #end = 0;

  /** Reads once; the result is read(2)'s, or a negative errno. */
  fill(from: number): number {
    const count = attempt("read", from, this.#buffer, bufferBytes);
    this.#end = Math.max(0, count);
    return count;
  }

  get rest(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Says that so many bytes of the rest were written; true when nothing is left. */
  drop(count: number): boolean {
    this.#start += count;
    return this.#start >= this.#end;
  }

  release(): void {
    if (spare.length < buffersKeptMax) spare.push(this.#buffer);
  }
}

/** Through a buffer, for what the kernel cannot splice. With `onThread` the writing may wait, else it must not. */
export class Copying implements Mover {
  #chunk: Chunk | undefined;

  constructor(readonly from: number, readonly to: number, readonly onThread: boolean) {}

  get pending(): boolean {
    return this.#chunk !== undefined;
  }

  move(): number | Promise<number> {
    if (this.#chunk === undefined) {
      const chunk = new Chunk();
      const count = chunk.fill(this.from);
      if (count <= 0) {
        chunk.release();
        return count;
      }
      this.#chunk = chunk;
    }
    if (this.onThread) return this.#writeOnThread(this.#chunk);
    return this.#wrote(this.#chunk, attempt("write", this.to, this.#chunk.rest, this.#chunk.rest.length));
  }

  async #writeOnThread(chunk: Chunk): Promise<number> {
    const { rest } = chunk;
    const count = await callInTurn("write", this.to, rest, rest.length);
    // The thread does not tell why it failed. Where the reason has gone meanwhile, so much the better.
    return this.#wrote(chunk, count >= 0 ? count : attempt("write", this.to, rest, rest.length));
  }

  #wrote(chunk: Chunk, count: number): number {
    if (count > 0 && chunk.drop(count)) {
      chunk.release();
      this.#chunk = undefined;
    }
    // Nothing was taken and nothing is wrong; a 0 would mean the end of the input.
    return count === 0 ? -errnoNumber("EAGAIN") : count;
  }
}
