/**
 * Reading blobs in pieces.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import type { BlobFiles } from "./blob_files.ts";
import type { BlobRow } from "./blob_rows.ts";
import { chunkBytesMax } from "./hash_file.ts";

/** Part of a blob, in bytes. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

/**
 * Throws where the file of a blob is not as its row says: `NotFound` where it has gone, `DataLoss` where it has another
 * size. A writer of the same digest notices it too and makes it anew.
 */
export function checkBlobFile(files: BlobFiles, { digest, size }: BlobRow): void {
  const actual = files.size(digest);
  if (actual === undefined) throw missingFile(digest);
  if (actual !== size) throw brokenFile(digest, actual, size);
}

function missingFile(digest: Digest, cause?: unknown): Failure {
  const message = `content ${digest}: its file has gone from the disk: fetch it again`;
  return new Failure("NotFound", message, cause === undefined ? {} : { cause });
}

function brokenFile(digest: Digest, actual: number, size: number): Failure {
  return new Failure("DataLoss", `content ${digest}: its file has ${actual} of ${size} bytes: fetch it again`);
}

/** What is read at once, in bytes: manifests and configurations. Another thread's help costs more than they do. */
const smallBytesMax = 64 << 10;

/**
 * A range of a blob in pieces of at most 1 MiB. The range must be inside of it. The file is opened once, at the first
 * piece, and read off the main thread, one piece ahead of the reader; a range of at most 64 KiB is read in the call.
 * Throws as {@link checkBlobFile}, and the signal's reason.
 */
export async function* readBlob(
  files: BlobFiles,
  row: BlobRow,
  { offset, length }: Range,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (length === 0) return;
  signal.throwIfAborted();
  if (length <= smallBytesMax) {
    yield readSmall(files, row, { offset, length });
    return;
  }
  using file = await open(files, row);
  // A reader that has gone may leave us at a `yield` for ever.
  using _closing = onAbort(signal, () => file[Symbol.dispose]());
  if (offset > 0) await file.seek(offset, Deno.SeekMode.Start);
  let left = length;
  const next = () => {
    const pending = left === 0 ? undefined : readFully(file, Math.min(left, chunkBytesMax));
    // It is looked at in the next turn, or not at all where the reader stops before.
    pending?.catch(() => {});
    left -= Math.min(left, chunkBytesMax);
    return pending;
  };
  for (let pending = next(); pending !== undefined;) {
    let chunk: Uint8Array | undefined;
    try {
      chunk = await pending;
    } finally {
      // It is the reason of whatever else went wrong.
      signal.throwIfAborted();
    }
    if (chunk === undefined) throw brokenFile(row.digest, (await file.stat()).size, row.size);
    pending = next();
    yield chunk;
  }
}

function onAbort(signal: AbortSignal, action: () => void): Disposable {
  signal.addEventListener("abort", action, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", action) };
}

function readSmall(files: BlobFiles, row: BlobRow, { offset, length }: Range): Uint8Array {
  let opened: Deno.FsFile;
  try {
    opened = Deno.openSync(files.path(row.digest));
  } catch (error) {
    throw openFailure(row.digest, error);
  }
  using file = opened;
  checkSize(file, row);
  if (offset > 0) file.seekSync(offset, Deno.SeekMode.Start);
  const piece = pieceWithHeadRoom(length);
  for (let done = 0; done < length;) {
    const taken = file.readSync(done === 0 ? piece : piece.subarray(done));
    if (taken === null) throw brokenFile(row.digest, file.statSync().size, row.size);
    done += taken;
  }
  return piece;
}

async function open(files: BlobFiles, row: BlobRow): Promise<Deno.FsFile> {
  const file = await Deno.open(files.path(row.digest)).catch((error) => {
    throw openFailure(row.digest, error);
  });
  try {
    checkSize(file, row);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

function openFailure(digest: Digest, error: unknown): unknown {
  return error instanceof Deno.errors.NotFound ? missingFile(digest, error) : error;
}

function checkSize(file: Deno.FsFile, { digest, size }: BlobRow): void {
  const actual = file.statSync().size;
  if (actual !== size) throw brokenFile(digest, actual, size);
}

/** Bytes before each piece in its memory, for whoever sends it on with a head. */
export const headRoom = 32;
const withHeadRoom = new WeakSet<ArrayBufferLike>();

/** Memory for a piece, with {@link headRoom} before it. */
export function pieceWithHeadRoom(bytes: number): Uint8Array {
  const memory = new Uint8Array(headRoom + bytes);
  withHeadRoom.add(memory.buffer);
  return memory.subarray(headRoom);
}

/** Whether the piece has its room and nobody has taken it yet; it is the caller's then. */
export function takeHeadRoom(piece: Uint8Array): boolean {
  return piece.byteOffset === headRoom && withHeadRoom.delete(piece.buffer);
}

/** So many bytes; undefined where the file ends before. */
async function readFully(file: Deno.FsFile, bytes: number): Promise<Uint8Array | undefined> {
  // Not used again: whoever gets it may keep it.
  const chunk = pieceWithHeadRoom(bytes);
  for (let done = 0; done < bytes;) {
    const taken = await file.read(done === 0 ? chunk : chunk.subarray(done));
    if (taken === null) return undefined;
    done += taken;
  }
  return chunk;
}
