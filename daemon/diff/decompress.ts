/**
 * Turns the stored bytes of a layer into its tar archive: as they are, gzip, or zstd.
 *
 * @module
 */
import { createGunzip, createZstdDecompress } from "node:zlib";
import { Failure, messageOf } from "../../api/errors.ts";
import type { Packing } from "./media_type.ts";
import { ZstdFrames } from "./zstd_frames.ts";

/** Bytes that come out; the memory is only lent. Never called after a failure. */
export type Output = (bytes: Uint8Array) => void;

/** One layer's worth of unpacking. Calls of `write` must not overlap. */
export interface Decompressor {
  /** Whether what comes out is what went in, byte for byte; known by the first output. */
  readonly verbatim: boolean;
  /** Takes the next bytes; resolves when all that they give has been put out. Rejects with {@link Failure}. */
  write(chunk: Uint8Array): Promise<void>;
  /** Says that no more bytes come. Rejects with `DataLoss` where the stream is not complete. */
  end(): Promise<void>;
  /** Lets go of native memory; to be called in any case. */
  close(): void;
}

/** Output comes in pieces of this size; measured on gzip, more gives no more speed and less costs some. */
const outputBytes = 256 * 1024;

/** Longest beginning that {@link sniff} needs. */
const sniffBytes = 4;

type Format = "none" | "gzip" | "zstd";

/** The format that the first bytes show. */
function sniff(head: Uint8Array): Format {
  if (head[0] === 0x1f && head[1] === 0x8b && head[2] === 0x08) return "gzip";
  if (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd) return "zstd";
  // Skippable zstd frames may come first.
  const isSkippable = (head[0]! & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18;
  return isSkippable ? "zstd" : "none";
}

/** A decompressor for a layer; what `output` throws rejects the write that caused it. */
export function decompressor(packing: Packing, output: Output): Decompressor {
  return packing === "none" ? new Plain(output) : new Sniffing(output);
}

function withFormat(format: Format, output: Output): Decompressor {
  if (format === "none") return new Plain(output);
  return format === "gzip" ? new Inflating("gzip", output) : new Zstd(output);
}

class Plain implements Decompressor {
  readonly verbatim = true;
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  // deno-lint-ignore require-await -- a throwing output must reject, as in the other decompressors
  async write(chunk: Uint8Array): Promise<void> {
    this.#output(chunk);
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}
}

/** Holds back the first bytes until they tell the format. */
class Sniffing implements Decompressor {
  readonly #output: Output;
  #head = new Uint8Array(0);
  #inner: Decompressor | undefined;

  get verbatim(): boolean {
    return this.#inner?.verbatim ?? false;
  }

  constructor(output: Output) {
    this.#output = output;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#inner !== undefined) return await this.#inner.write(chunk);
    const head = new Uint8Array(this.#head.length + chunk.length);
    head.set(this.#head);
    head.set(chunk, this.#head.length);
    this.#head = head;
    if (head.length >= sniffBytes) await this.#begin();
  }

  async #begin(): Promise<void> {
    this.#inner = withFormat(sniff(this.#head), this.#output);
    const head = this.#head;
    this.#head = new Uint8Array(0);
    await this.#inner.write(head);
  }

  async end(): Promise<void> {
    if (this.#inner === undefined) await this.#begin();
    await this.#inner?.end();
  }

  close(): void {
    this.#inner?.close();
  }
}

/** A transform of `node:zlib`, as promises. */
class Inflating implements Decompressor {
  readonly verbatim = false;
  readonly #stream: ReturnType<typeof createGunzip>;
  readonly #format: string;
  #failure: unknown;
  /** The stream's end has come; what follows it in the layer is padding. */
  #ended = false;
  #settle: (() => void) | undefined;

  constructor(format: "gzip" | "zstd", output: Output) {
    this.#format = format;
    const options = { chunkSize: outputBytes };
    // Both are the same kind of transform stream; zlib's types only give them different names.
    this.#stream = format === "gzip"
      ? createGunzip(options)
      : createZstdDecompress(options) as unknown as ReturnType<typeof createGunzip>;
    this.#stream.on("data", (bytes: Uint8Array) => {
      if (this.#failure !== undefined) return;
      try {
        output(bytes);
      } catch (error) {
        this.#fail(error);
      }
    });
    // After padding behind the last member zlib ends by itself, and never calls back for that write.
    this.#stream.on("end", () => {
      this.#ended = true;
      this.#settle?.();
    });
    this.#stream.on("error", (error) => this.#fail(this.#asFailure(error)));
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#settle?.();
  }

  #asFailure(error: unknown): Failure {
    const isShort = messageOf(error) === "unexpected end of file";
    const what = isShort ? `the ${this.#format} stream is not complete: unexpected EOF` : messageOf(error);
    return new Failure(isShort ? "DataLoss" : "InvalidArgument", `inflating the layer: ${what}`, { cause: error });
  }

  #until(begin: (done: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = () => this.#failure === undefined ? resolve() : reject(this.#failure);
      if (this.#ended || this.#failure !== undefined) return settle();
      this.#settle = settle;
      begin(settle);
    });
  }

  write(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return Promise.resolve();
    return this.#until((done) => this.#stream.write(chunk, () => done()));
  }

  end(): Promise<void> {
    // Settled by the "end" event.
    return this.#until(() => this.#stream.end());
  }

  close(): void {
    this.#failure ??= new Error("the decompressor has been closed");
    this.#stream.destroy();
  }
}

/** zstd with any number of frames; see `zstd_frames.ts`. */
class Zstd implements Decompressor {
  readonly verbatim = false;
  readonly #frames = new ZstdFrames();
  readonly #inner: Inflating;

  constructor(output: Output) {
    this.#inner = new Inflating("zstd", output);
  }

  async write(chunk: Uint8Array): Promise<void> {
    const pieces: Uint8Array[] = [];
    this.#frames.push(chunk, (bytes) => pieces.push(bytes));
    for (const piece of pieces) await this.#inner.write(piece);
  }

  async end(): Promise<void> {
    this.#frames.end();
    await this.#inner.end();
  }

  close(): void {
    this.#inner.close();
  }
}
