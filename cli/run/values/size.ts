/**
 * Sizes as docker writes them (go-units `RAMInBytes`): `64m`, `1.5g`, `1024`, `2GiB`; units are powers of 1024.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

const powers = "bkmgtp";

/** The size in bytes, rounded down. Throws `InvalidArgument` where the text is no size. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+) ?(?:([kmgtp])i?b?|b)?$/i.exec(text.trim());
  if (match === null) {
    throw new Failure("InvalidArgument", "want a number with an optional unit of b, k, m, g, t or p, as 64m or 1.5g");
  }
  const power = powers.indexOf((match[2] ?? "b").toLowerCase());
  const bytes = Math.floor(Number(match[1]) * 1024 ** power);
  if (!Number.isSafeInteger(bytes)) throw new Failure("InvalidArgument", "want less than 8192 tebibytes");
  return bytes;
}
