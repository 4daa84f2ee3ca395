/**
 * The text of a configuration file.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";

/** A configuration has some kilobytes; whatever is larger was named by mistake, and would take a second to read. */
const bytesMax = 1024 * 1024;

/**
 * Reads the file. Pipes are fine too, so that a shell can make the text. Throws `NotFound`, `PermissionDenied`,
 * `InvalidArgument` for what is no text or too large, and the signal's reason.
 */
export async function readConfigFile(path: string, signal?: AbortSignal): Promise<string> {
  signal?.throwIfAborted();
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await readBounded(path, signal);
  } catch (error) {
    if (error instanceof Failure || signal?.aborted) throw error;
    const code = error instanceof Deno.errors.NotFound
      ? "NotFound"
      : error instanceof Deno.errors.PermissionDenied
      ? "PermissionDenied"
      : "InvalidArgument";
    const why = code === "NotFound" ? "no such file or directory" : messageOf(error);
    throw new Failure(code, `failed to load TOML: ${path}: open ${path}: ${why}`, { cause: error });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new Failure("InvalidArgument", `${path}: the file is no UTF-8 text`, { cause: error });
  }
}

/** By pieces, for a pipe or device does not tell its size. */
async function readBounded(path: string, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let length = 0; length <= bytesMax;) {
    signal?.throwIfAborted();
    const piece = new Uint8Array(64 * 1024);
    const count = await file.read(piece);
    if (count === null) return new Uint8Array(await new Blob(pieces).arrayBuffer());
    pieces.push(piece.subarray(0, count));
    length += count;
  }
  throw new Failure("InvalidArgument", `${path}: the file is larger than ${bytesMax} bytes: is it a configuration?`);
}
