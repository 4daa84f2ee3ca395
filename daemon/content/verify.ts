/**
 * Looking whether blobs are what their digests say.
 *
 * @module
 */
import { type Digest, splitDigest } from "../../api/digest.ts";
import type { BlobFiles } from "./blob_files.ts";
import { hashFile } from "./hash_file.ts";

/** What is found of a blob. Sizes in bytes. */
export type BlobState =
  | { readonly state: "whole"; readonly size: number }
  | { readonly state: "missing" }
  | { readonly state: "wrong size"; readonly size: number; readonly expected: number }
  | { readonly state: "wrong content"; readonly size: number; readonly actual: Digest };

/**
 * Reads a blob and computes its digest, in steps of less than a millisecond. `size` is what its row says, where there is
 * one; the content of a file of another size is not looked at. Throws the signal's reason.
 */
export async function verifyBlob(
  files: BlobFiles,
  digest: Digest,
  size: number | undefined,
  signal: AbortSignal,
): Promise<BlobState> {
  const actual = files.size(digest);
  if (actual === undefined) return { state: "missing" };
  if (size !== undefined && size !== actual) return { state: "wrong size", size: actual, expected: size };
  const { algorithm } = splitDigest(digest);
  let hash: Awaited<ReturnType<typeof hashFile>>;
  try {
    hash = await hashFile(files.path(digest), algorithm, actual, signal);
  } catch (error) {
    // Deleted meanwhile.
    if (error instanceof Deno.errors.NotFound) return { state: "missing" };
    throw error;
  }
  // It is hashed by the algorithm that the digest names, so its form is that of one.
  const found = `${algorithm}:${hash.digest("hex")}` as Digest;
  if (found === digest) return { state: "whole", size: actual };
  return { state: "wrong content", size: actual, actual: found };
}
