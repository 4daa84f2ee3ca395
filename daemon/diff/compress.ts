/**
 * Packs the archive of a new layer.
 *
 * @module
 */
import { createGzip, createZstdCompress } from "node:zlib";

/** How a new layer's archive is packed. */
export type LayerPacking = "none" | "gzip" | "zstd";

/** One archive's worth of packing. Calls of `write` must not overlap. */
export interface Compressor {
  /** Resolves when the bytes have been taken and their memory is free. Rejects with what `output` threw. */
  write(bytes: Uint8Array): Promise<void>;
  /** Says that no more bytes come; resolves when everything has been put out. */
  end(): Promise<void>;
  /** Lets go of native memory; to be called in any case. */
  close(): void;
}

/** Output comes in pieces of at most this size. */
const outputBytes = 256 * 1024;

/** A compressor whose packed bytes go to `output`, in memory that is only lent. */
export function compressor(packing: LayerPacking, output: (bytes: Uint8Array) => void): Compressor {
  return packing === "none" ? new Plain(output) : new Packing(packing, output);
}

class Plain implements Compressor {
  constructor(private readonly output: (bytes: Uint8Array) => void) {}

  // deno-lint-ignore require-await -- a throwing output must reject, as in the other compressor
  async write(bytes: Uint8Array): Promise<void> {
    this.output(bytes);
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}
}

/** A transform of `node:zlib`, as promises. */
class Packing implements Compressor {
  readonly #stream: ReturnType<typeof createGzip>;
  readonly #ended = Promise.withResolvers<void>();
  #failure: unknown;
  #settle: (() => void) | undefined;

  constructor(packing: "gzip" | "zstd", output: (bytes: Uint8Array) => void) {
    const options = { chunkSize: outputBytes };
    // Both are the same kind of transform stream; zlib's types only give them different names.
    this.#stream = packing === "gzip"
      ? createGzip(options)
      : createZstdCompress(options) as unknown as ReturnType<typeof createGzip>;
    // Heard of by end(); a writer that failed before never asks.
    this.#ended.promise.catch(() => {});
    this.#stream.on("data", (bytes: Uint8Array) => {
      if (this.#failure !== undefined) return;
      try {
        output(bytes);
      } catch (error) {
        this.#fail(error);
      }
    });
    this.#stream.on("end", () => this.#ended.resolve());
    this.#stream.on("error", (error) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#ended.reject(this.#failure);
    this.#settle?.();
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settle = () => this.#failure === undefined ? resolve() : reject(this.#failure);
      if (this.#failure !== undefined) return this.#settle();
      this.#stream.write(bytes, () => this.#settle?.());
    });
  }

  async end(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#stream.end();
    await this.#ended.promise;
  }

  close(): void {
    this.#failure ??= new Error("the compressor has been closed");
    this.#stream.destroy();
  }
}
