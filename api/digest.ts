/**
 * Content digests: `algorithm:hex` in lower case, as the OCI image specification writes them.
 *
 * @module
 */
import { Failure } from "./errors.ts";

/** A digest such as `sha256:…`; make one only through {@link parseDigest}. */
export type Digest = string & { readonly __digest: true };

const hexLengths: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

/** Whether the text is a well-formed digest of a known algorithm. */
export function isDigest(text: string): text is Digest {
  const colon = text.indexOf(":");
  const length = hexLengths[text.slice(0, colon)];
  return length !== undefined && text.length === colon + 1 + length && /^[0-9a-f]+$/.test(text.slice(colon + 1));
}

/** The text as a digest. Throws `InvalidArgument` where it is none. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    throw new Failure(
      "InvalidArgument",
      `"${text}" is not a digest: want sha256:, sha384: or sha512: and lower-case hex`,
    );
  }
  return text;
}

/** Algorithm and hex part of a digest. */
export function splitDigest(digest: Digest): { algorithm: string; hex: string } {
  const colon = digest.indexOf(":");
  return { algorithm: digest.slice(0, colon), hex: digest.slice(colon + 1) };
}
