/**
 * Where zstd frames end (RFC 8878, section 3.1).
 *
 * `node:zlib` drops everything that follows a frame in the same write, takes a skippable frame for the end, and does
 * not notice a missing end. So the stream is cut at frame boundaries here, without looking into the blocks.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** Number of content size bytes by the two upper bits of the descriptor; the first one depends on another flag. */
const contentSizeBytes = [0, 2, 4, 8] as const;
const dictionaryIdBytes = [0, 1, 2, 4] as const;

type Expect = "magic" | "skipSize" | "descriptor" | "header" | "blockHeader" | "block" | "skip" | "checksum";

/** The number of bytes of each field that must be complete to be read. */
const fieldBytes = { magic: 4, skipSize: 4, descriptor: 1, blockHeader: 3 } as const;

/** Cuts a stream of zstd frames, pushed in pieces of any size, into pieces that belong to one frame each. */
export class ZstdFrames {
  #expect: Expect = "magic";
  /** Bytes of the current part that are still to come, where its contents do not matter. */
  #left = 0;
  #field = 0;
  #fieldFill = 0;
  #hasChecksum = false;
  #isLastBlock = false;
  /** Bytes of the magic number that came in earlier pieces: only after it is it known whether the frame counts. */
  #magic: number[] = [];

  /** Calls `emit` for each run of bytes of one data frame. Skippable frames are left out. Throws `InvalidArgument`. */
  push(chunk: Uint8Array, emit: (bytes: Uint8Array) => void): void {
    let from = 0;
    let at = 0;
    const flush = (to: number) => {
      if (to > from) emit(chunk.subarray(from, to));
      from = to;
    };
    while (at < chunk.length) {
      const expect = this.#expect;
      if (expect === "magic" || expect === "skipSize" || expect === "descriptor" || expect === "blockHeader") {
        if (expect === "magic") this.#magic.push(chunk[at]!);
        this.#field += chunk[at++]! * 256 ** this.#fieldFill++;
        if (this.#fieldFill < fieldBytes[expect]) continue;
        const field = this.#field;
        this.#field = this.#fieldFill = 0;
        this.#takeField(expect, field);
        if (expect === "magic") {
          const magic = Uint8Array.from(this.#magic);
          this.#magic = [];
          from = at;
          if (this.#expect === "descriptor") emit(magic);
        } else if (expect === "skipSize") {
          from = at;
        }
      } else {
        const count = Math.min(this.#left, chunk.length - at);
        at += count;
        this.#left -= count;
        if (expect === "skip") from = at;
      }
      if (this.#left === 0 && this.#partEnds()) flush(at);
    }
    // Bytes of an unfinished magic number are kept in #magic.
    if (this.#expect !== "magic" && this.#expect !== "skipSize" && this.#expect !== "skip") flush(at);
  }

  /** Says that no more bytes come. Throws `DataLoss` inside a frame. */
  end(): void {
    if (this.#expect === "magic" && this.#fieldFill === 0) return;
    throw new Failure("DataLoss", "inflating the layer: the zstd stream ends in the middle of a frame: unexpected EOF");
  }

  #takeField(expect: keyof typeof fieldBytes, field: number): void {
    if (expect === "magic") {
      if (field === 0xfd2fb528) this.#expect = "descriptor";
      else if (field >= 0x184d2a50 && field <= 0x184d2a5f) this.#expect = "skipSize";
      else throw new Failure("InvalidArgument", "inflating the layer: no zstd frame where one should begin");
    } else if (expect === "skipSize") {
      this.#expect = "skip";
      this.#left = field;
    } else if (expect === "descriptor") {
      const isSingleSegment = (field & 0x20) !== 0;
      this.#hasChecksum = (field & 0x04) !== 0;
      const sizeFlag = (field >> 6) as 0 | 1 | 2 | 3; // two bits
      const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : contentSizeBytes[sizeFlag];
      const dictionaryFlag = (field & 3) as 0 | 1 | 2 | 3; // two bits
      this.#left = (isSingleSegment ? 0 : 1) + dictionaryIdBytes[dictionaryFlag] + sizeBytes;
      this.#expect = "header";
    } else {
      this.#isLastBlock = (field & 1) === 1;
      const type = (field >> 1) & 3;
      if (type === 3) throw new Failure("InvalidArgument", "inflating the layer: a zstd block has the reserved type");
      // A run-length block holds one byte, however many it stands for.
      this.#left = type === 1 ? 1 : field >> 3;
      this.#expect = "block";
    }
  }

  /** Goes on to the next part once the current one is complete; true at the end of a data frame. */
  #partEnds(): boolean {
    switch (this.#expect) {
      case "skip":
        this.#expect = "magic";
        return false;
      case "header":
        this.#expect = "blockHeader";
        return false;
      case "block":
        if (!this.#isLastBlock) {
          this.#expect = "blockHeader";
          return false;
        }
        this.#expect = this.#hasChecksum ? "checksum" : "magic";
        this.#left = this.#hasChecksum ? 4 : 0;
        return !this.#hasChecksum;
      case "checksum":
        this.#expect = "magic";
        return true;
      default:
        return false;
    }
  }
}
