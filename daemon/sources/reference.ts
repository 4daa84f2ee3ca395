/**
 * Image names as docker writes them, and their full form `host/repository[:tag|@digest]`.
 *
 * Short names are sugar: `debian` is `docker.io/library/debian:latest`. The grammar is that of the
 * distribution project's reference package. This module is on the way of every `barge run`: it is pure.
 *
 * @module
 */
import { type Digest, isDigest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";

/** A registry reference in full form. */
export interface Reference {
  /** Registry as in the name, port included: `docker.io`, `127.0.0.1:5000`. */
  readonly host: string;
  /** Path within the registry: `library/debian`. */
  readonly repository: string;
  /** Set unless the reference is by digest. */
  readonly tag?: string;
  /** Set where the reference is by digest; a tag beside it is dropped, as docker does. */
  readonly digest?: Digest;
  /** The full name: what the image is recorded under. */
  readonly name: string;
}

/** The specification's limit for host and repository together, in characters. */
const nameLengthMax = 255;

const hostPattern =
  /^(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*(?::[0-9]{1,5})?$/;
const ipv6HostPattern = /^\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?$/;
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** Whether the text can be a tag. */
export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/**
 * The reference that a user's text means. Throws `InvalidArgument` with the reason where it means none.
 *
 * @example
 * ```ts
 * import { parseReference } from "./reference.ts";
 * parseReference("debian").name; // docker.io/library/debian:latest
 * ```
 */
export function parseReference(text: string): Reference {
  const fail = (reason: string) => new Failure("InvalidArgument", `image name "${printable(text)}" ${reason}`);
  if (text === "") throw new Failure("InvalidArgument", "the image name is empty: want a name such as debian:12");
  if (text.includes("://")) throw fail(`has a scheme: write ${printable(text.slice(text.indexOf("://") + 3))}`);
  if (/^[0-9a-f]{64}$/.test(text)) throw fail("is an image id: want a name such as debian:12");

  const { named, digestText } = splitAtDigest(text);
  if (digestText !== undefined && !isDigest(digestText)) {
    throw fail(`has a bad digest "${printable(digestText)}": want sha256: and 64 lower-case hex digits`);
  }
  const { path, tag } = splitAtTag(named);
  if (tag !== undefined && !isTag(tag)) {
    throw fail(`has a bad tag "${printable(tag)}": want up to 128 of A-Z a-z 0-9 _ . - and no leading . or -`);
  }
  const { host, repository } = splitAtHost(path);
  // The URL parser knows more: ports end at 65535 and a name of digits is an IPv4 address.
  if (!(hostPattern.test(host) || ipv6HostPattern.test(host)) || !URL.canParse(`https://${host}/`)) {
    throw fail(`has a bad registry host "${printable(host)}"`);
  }
  for (const component of repository.split("/")) {
    if (componentPattern.test(component)) continue;
    if (component === "") throw fail("has an empty part: want parts between single slashes");
    if (component !== component.toLowerCase()) throw fail("has upper-case letters: want lower case");
    throw fail(`has a bad part "${printable(component)}": want a-z 0-9 with single . _ or - between them`);
  }
  if (host.length + 1 + repository.length > nameLengthMax) throw fail(`is longer than ${nameLengthMax} characters`);

  const base = `${host}/${repository}`;
  if (digestText !== undefined) return { host, repository, digest: digestText, name: `${base}@${digestText}` };
  return { host, repository, tag: tag ?? "latest", name: `${base}:${tag ?? "latest"}` };
}

/** The reference that the text means, or undefined where it means none: for names found in foreign archives. */
export function tryParseReference(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

function splitAtDigest(text: string): { named: string; digestText: Digest | string | undefined } {
  const at = text.indexOf("@");
  return at === -1
    ? { named: text, digestText: undefined }
    : { named: text.slice(0, at), digestText: text.slice(at + 1) };
}

/** A colon in the last path part starts the tag; one before is a port. */
function splitAtTag(named: string): { path: string; tag: string | undefined } {
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  return colon === -1 ? { path: named, tag: undefined } : { path: named.slice(0, colon), tag: named.slice(colon + 1) };
}

/**
 * The first part is a host where it could be no repository: it has a dot, a colon or upper case, or is `localhost`.
 * Everything else lives at Docker Hub, whose top level is `library/`.
 */
function splitAtHost(path: string): { host: string; repository: string } {
  const slash = path.indexOf("/");
  const first = path.slice(0, slash);
  const isHost = slash !== -1 && (/[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase());
  let host = isHost ? first : "docker.io";
  let repository = isHost ? path.slice(slash + 1) : path;
  if (host === "index.docker.io") host = "docker.io";
  if (host === "docker.io" && !repository.includes("/")) repository = `library/${repository}`;
  return { host, repository };
}

/** The text safe to show: a name may come from a file that a stranger wrote. */
function printable(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  return text.slice(0, 300).replace(/[\x00-\x1f\x7f-\x9f]/g, "?");
}
