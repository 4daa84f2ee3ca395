/**
 * Unpacks a compressed archive into a file without name, once, so that its members can be read in any order.
 *
 * @module
 */
import { Failure, messageOf } from "../../../api/errors.ts";

/** How a file is compressed, by its first bytes. */
export type Compression = "gzip" | "zstd" | "none";

/** Against bombs: a gigabyte file of zeros becomes a terabyte. No image is near this size, in bytes. */
const inflatedBytesMax = 256 * 1024 ** 3;

/** The compression of a file that starts with these bytes. Throws `NotImplemented` for bzip2 and xz. */
export function sniffCompression(start: Uint8Array, place: string): Compression {
  const starts = (...bytes: number[]) => bytes.every((byte, i) => start[i] === byte);
  if (starts(0x1f, 0x8b)) return "gzip";
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return "zstd";
  const unsupported = starts(0x42, 0x5a, 0x68) ? "bzip2" : starts(0xfd, 0x37, 0x7a, 0x58, 0x5a) ? "xz" : undefined;
  if (unsupported === undefined) return "none";
  throw new Failure("NotImplemented", `${place} is compressed by ${unsupported}: want gzip, zstd or no compression`);
}

/**
 * The unpacked content of `file` (read from its start and closed) in a nameless file in `directory`: nothing is
 * left even when the process is killed. Throws `DataLoss` for a broken file, `ResourceExhausted` on a full disk.
 */
export async function inflate(
  file: Deno.FsFile,
  compression: "gzip" | "zstd",
  place: string,
  directory: string | undefined,
  signal: AbortSignal,
): Promise<Deno.FsFile> {
  const [zlib, { pipeline }] = await Promise.all([import("node:zlib"), import("node:stream/promises")]);
  const output = await namelessFile(directory, place);
  let written = 0;
  try {
    await pipeline(
      file.readable,
      compression === "gzip" ? zlib.createGunzip() : zlib.createZstdDecompress(),
      async (pieces: AsyncIterable<Uint8Array>) => {
        for await (const piece of pieces) {
          written += piece.length;
          if (written > inflatedBytesMax) {
            throw new Failure("ResourceExhausted", `${place} unpacks to more than ${inflatedBytesMax} bytes`);
          }
          for (let at = 0; at < piece.length;) at += await output.write(piece.subarray(at));
        }
      },
      { signal },
    );
    return output;
  } catch (error) {
    output.close();
    if (signal.aborted) throw signal.reason;
    if (error instanceof Failure) throw error;
    if (/No space left|quota/i.test(messageOf(error))) {
      throw new Failure("ResourceExhausted", `no space to unpack ${place}: free some, or set TMPDIR`, { cause: error });
    }
    throw new Failure("DataLoss", `cannot unpack ${place}: ${messageOf(error)}`, { cause: error });
  }
}

async function namelessFile(directory: string | undefined, place: string): Promise<Deno.FsFile> {
  try {
    const path = await Deno.makeTempFile({
      prefix: "barge-archive-",
      ...(directory === undefined ? {} : { dir: directory }),
    });
    try {
      return await Deno.open(path, { read: true, write: true });
    } finally {
      await Deno.remove(path);
    }
  } catch (cause) {
    throw new Failure("FailedPrecondition", `cannot make a file to unpack ${place}: ${messageOf(cause)}`, { cause });
  }
}
