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
