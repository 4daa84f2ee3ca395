/**
 * Resource limits: `nofile=1024:2048` (go-units `ParseUlimit`).
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Rlimit } from "../../../api/oci/runtime_spec.ts";

const names: readonly string[] = [
  "as",
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
];

/** What `RLIM_INFINITY` (2^64 - 1) becomes as a double, here as when it is read from a `config.json`. */
export const unlimited = 2 ** 64;

/**
 * The limit of a text `type=soft[:hard]`; `-1` and `unlimited` are no limit, and without `hard` it is `soft`. Throws
 * `InvalidArgument` for an unknown type, no number, or a soft limit above the hard one.
 */
export function parseUlimit(text: string): Rlimit {
  const match = /^([a-z]+)=([^:]+)(?::([^:]+))?$/.exec(text);
  if (match === null) throw new Failure("InvalidArgument", "want TYPE=SOFT[:HARD] such as nofile=1024:2048");
  const [, name = "", softText = "", hardText = softText] = match;
  if (!names.includes(name)) throw new Failure("InvalidArgument", `want one of the types ${names.join(", ")}`);
  const soft = parseLimit(softText);
  const hard = parseLimit(hardText);
  if (soft > hard) throw new Failure("InvalidArgument", "want a soft limit that is not above the hard one");
  return { type: `RLIMIT_${name.toUpperCase()}`, soft, hard };
}

function parseLimit(text: string): number {
  if (text === "-1" || text === "unlimited") return unlimited;
  if (!/^\d{1,15}$/.test(text)) throw new Failure("InvalidArgument", "want limits that are numbers, -1 or unlimited");
  return Number(text);
}
