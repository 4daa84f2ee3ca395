/**
 * Digests of files, without holding up the event loop.
 *
 * @module
 */
import type { createHash, Hash } from "node:crypto";

/** Bytes that are read, hashed or written in one step: their hash takes less than a millisecond. */
export const chunkBytesMax = 1 << 20;

let loaded: typeof createHash | undefined;

/** A new hash. The library is loaded by the first one, since commands that hash nothing start faster without it. */
export async function newHash(algorithm: string): Promise<Hash> {
  loaded ??= (await import("node:crypto")).createHash;
  return loaded(algorithm);
}

/**
 * The hash of the first `bytes` bytes of a file, or of all that it has if these are fewer; more can be added to it. The
 * file is read off the main thread, in steps.
 */
export async function hashFile(path: string, algorithm: string, bytes: number, signal?: AbortSignal): Promise<Hash> {
  const hash = await newHash(algorithm);
  if (bytes === 0) return hash;
  using file = await Deno.open(path);
  const chunk = new Uint8Array(Math.min(chunkBytesMax, bytes));
  for (let left = bytes; left > 0;) {
    signal?.throwIfAborted();
    const taken = await file.read(left < chunk.length ? chunk.subarray(0, left) : chunk);
    if (taken === null) break;
    hash.update(chunk.subarray(0, taken));
    left -= taken;
  }
  return hash;
}
