/**
 * Digests in requests, and containerd's words for those that are none.
 *
 * @module
 */
import { type Digest, isDigest, splitDigest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";

/** The text as a digest. Throws `InvalidArgument` with the text that is made of what is wrong. */
export function digestOf(text: string, message: (problem: string) => string): Digest {
  if (!isDigest(text)) throw new Failure("InvalidArgument", message(problemOf(text)));
  return text;
}

/** The words of Go's digest package, which looks at the form as a whole only where it does not know the algorithm. */
function problemOf(text: string): string {
  const format = "invalid checksum digest format";
  if (!/^[^:]+:./s.test(text)) return format;
  // It has a colon, and splitting looks at nothing else.
  const { algorithm, hex } = splitDigest(text as Digest);
  const length = new Map([["sha256", 64], ["sha384", 96], ["sha512", 128]]).get(algorithm);
  if (length !== undefined) return hex.length === length ? format : "invalid checksum digest length";
  const wellFormed = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/.test(text);
  return wellFormed ? "unsupported digest algorithm" : format;
}
