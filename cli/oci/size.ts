/**
 * Sizes in bytes as runc's flags take them.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

const units: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** `100M`, `1.5g`, `512`: bytes, by powers of 1024; `-1` is no limit. Throws `InvalidArgument` in runc's words. */
export function parseSize(text: string): number {
  if (text === "-1") return -1;
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  if (match === null) throw new Failure("InvalidArgument", `invalid size: '${text}'`);
  return Math.floor(Number(match[1]) * 1024 ** units[match[2]!.toLowerCase()]!);
}
