/**
 * Files by name, whether they lie in a directory or in an archive.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/** The largest JSON file of an image that is read, in bytes: containerd's limit. */
export const jsonBytesMax = 20 * 1024 * 1024;

/** Read-only files below one place. Names are relative, with single slashes. */
export interface NamedFiles extends AsyncDisposable {
  /** What and where it is, for sentences: `OCI layout "/x"`. */
  readonly place: string;
  /** Size in bytes, or undefined where there is no such regular file. */
  size(name: string): Promise<number | undefined>;
  /** The bytes of a file from `offset` on. Throws `NotFound` where it is not there. */
  open(name: string, offset: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

/**
 * A whole file of limited size, or undefined where it is not there. Throws `ResourceExhausted` where it is
 * larger than {@link jsonBytesMax}.
 */
export async function readSmall(
  files: NamedFiles,
  name: string,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const size = await files.size(name);
  if (size === undefined) return undefined;
  if (size > jsonBytesMax) {
    throw new Failure("ResourceExhausted", `${name} in ${files.place} has ${size} bytes, ${jsonBytesMax} are allowed`);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for await (const piece of await files.open(name, 0, signal)) {
    if (at + piece.length > size) throw new Failure("DataLoss", `${name} in ${files.place} grows while it is read`);
    whole.set(piece, at);
    at += piece.length;
  }
  if (at !== size) throw new Failure("DataLoss", `${name} in ${files.place} ends at byte ${at} of ${size}`);
  return whole;
}

/** Bytes as JSON. Throws `InvalidArgument` that names the file. */
export function parseJson(bytes: Uint8Array, name: string, place: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new Failure("InvalidArgument", `${name} in ${place} is not JSON`, { cause });
  }
}
