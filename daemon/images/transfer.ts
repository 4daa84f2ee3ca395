/**
 * Reading from image sources.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import type { Descriptor } from "../../api/oci/image_spec.ts";
import type { ImageSource } from "../sources/source.ts";
import { documentBytesMax } from "./documents.ts";

/**
 * Chunks go to a worker in pieces of this size: a network's own chunks are small, and each message to another thread
 * costs some 50 µs.
 */
const pieceBytes = 256 * 1024;

/** A transfer that ended before its end: what has come is worth keeping. */
export class InterruptedTransfer extends Failure {}

/** An error of the source's, as one that says that what has come can be kept. */
function interrupted(error: unknown, what: string): unknown {
  if (error instanceof Failure) return new InterruptedTransfer(error.code, error.message, { cause: error });
  if (error instanceof DOMException && (error.name === "AbortError" || error.name === "TimeoutError")) return error;
  return new InterruptedTransfer("Unavailable", `${what}: the transfer broke off: ${messageOf(error)}`, {
    cause: error,
  });
}

/**
 * Gives the bytes of a blob from `offset` on to `sink`, in large pieces that are the sink's to keep, and waits for it.
 * Throws `InterruptedTransfer` where they cannot be had or end early, `DataLoss` where there are too many, and what the
 * sink throws. The transfer is over when it returns or throws.
 */
export async function transfer(
  source: ImageSource,
  blob: Descriptor,
  options: { readonly offset: number; readonly signal: AbortSignal; readonly what: string },
  sink: (piece: Uint8Array<ArrayBuffer>) => Promise<void>,
): Promise<void> {
  const { signal, what } = options;
  let offset = options.offset;
  if (offset === blob.size) return;
  const reader = (await source.open(blob, offset, signal).catch((error) => {
    throw interrupted(error, what);
  })).getReader();
  try {
    let piece = new Uint8Array(pieceBytes), filled = 0;
    const flush = async () => {
      if (filled > 0) await sink(piece.slice(0, filled));
      filled = 0;
    };
    for (;;) {
      const { done, value } = await reader.read().catch(async (error) => {
        await flush();
        throw interrupted(error, what);
      });
      if (done) break;
      signal.throwIfAborted();
      offset += value.length;
      if (offset > blob.size) throw new Failure("DataLoss", `${what}: it has more than its ${blob.size} bytes`);
      for (let at = 0; at < value.length;) {
        const taken = Math.min(value.length - at, pieceBytes - filled);
        piece.set(value.subarray(at, at + taken), filled);
        at += taken;
        filled += taken;
        if (filled < pieceBytes) continue;
        await sink(piece);
        piece = new Uint8Array(pieceBytes);
        filled = 0;
      }
    }
    await flush();
  } catch (error) {
    // Its failure would be about the cancellation, and we know the reason already.
    await reader.cancel(error).catch(() => {});
    throw error;
  }
  if (offset < blob.size) {
    throw new InterruptedTransfer("Unavailable", `${what}: it ended after ${offset} of ${blob.size} bytes: try again`);
  }
}

/** All bytes of a manifest, index or config. Throws as {@link transfer}, `InvalidArgument` where it is too large. */
export async function transferDocument(
  source: ImageSource,
  document: Descriptor,
  signal: AbortSignal,
  what: string,
): Promise<Uint8Array<ArrayBuffer>> {
  if (document.size > documentBytesMax) {
    throw new Failure(
      "InvalidArgument",
      `${what}: it has ${document.size} bytes, at most ${documentBytesMax} are taken`,
    );
  }
  const bytes = new Uint8Array(document.size);
  let offset = 0;
  await transfer(source, document, { offset: 0, signal, what }, (piece) => {
    bytes.set(piece, offset);
    offset += piece.length;
    return Promise.resolve();
  });
  return bytes;
}
