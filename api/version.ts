/**
 * The version of barge.
 *
 * @module
 */

/** Semantic version; `deno.json` has the same. */
export const version = "0.1.0";

/** The containerd whose API and behaviour barge follows. */
const follows = "v2.3.4";

/**
 * The daemon's version as clients see it. They parse it (docker, kubelet, cri tools) and choose what they call by it, so
 * it begins with the version of containerd that is followed; what follows the plus is barge's own.
 */
export const containerdVersion = `${follows}+barge.${version}`;

/** What stands for the revision of the sources beside {@link containerdVersion}. */
export const revision = `barge-${version}`;

/** The name of the installed build that a Deno of this path belongs to: 12 hexadecimal digits; empty where it is none. */
export function buildOf(deno: string): string {
  return /\/lib\/barge\/([0-9a-f]{12})\/lib\/barge\/deno$/.exec(deno)?.[1] ?? "";
}

/**
 * What processes of barge that work together must have in common: version and installed build. A program that was
 * replaced while it ran keeps its own.
 */
export function buildVersion(deno: string = Deno.execPath()): string {
  const build = buildOf(deno);
  return build === "" ? version : `${version}+${build}`;
}
