/**
 * Digests of small things, by the web's own API: `node:crypto` need not be loaded for a manifest.
 *
 * @module
 */
import { type Digest, splitDigest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";

const webAlgorithms: Readonly<Record<string, string>> = { sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" };

/** The digest of some bytes that are in memory anyway. Throws `NotImplemented` for an algorithm without a function. */
export async function digestOf(bytes: Uint8Array, algorithm = "sha256"): Promise<Digest> {
  const web = webAlgorithms[algorithm];
  if (web === undefined) throw new Failure("NotImplemented", `digest algorithm "${algorithm}" is not supported`);
  // The cast only says that the bytes are not shared memory, which no reader here makes.
  const sum = new Uint8Array(await crypto.subtle.digest(web, bytes as Uint8Array<ArrayBuffer>));
  // The cast is what parseDigest would check: a known algorithm and the hex of its sum.
  return `${algorithm}:${sum.toHex()}` as Digest;
}

/** Throws `DataLoss` where the bytes are not those of the digest; `what` and `from` name them in the sentence. */
export async function verifyDigest(bytes: Uint8Array, digest: Digest, what: string, from: string): Promise<void> {
  const actual = await digestOf(bytes, splitDigest(digest).algorithm);
  if (actual !== digest) {
    throw new Failure("DataLoss", `${from} has ${what} with digest ${actual} instead of ${digest}`);
  }
}
