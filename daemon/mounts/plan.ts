/**
 * Which of a client's mounts the daemon performs, and which it leaves to the client.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { MountHandler } from "./activation.ts";
import type { MountPart } from "./perform.ts";
import { splitType } from "./transform.ts";

/** What {@link planActivation} found. */
export interface ActivationPlan {
  /** So many mounts, from the first one on, are performed here. */
  readonly count: number;
  /** For each of those its type where a handler performs it, else "". */
  readonly handled: readonly string[];
  /** Whether the first mount after those has a prefix that is to be taken at its word all the same. */
  readonly transformed: boolean;
}

/** A list of mounts is at most so long; containerd's records number them with one byte. */
const mountsMax = 255;

/**
 * A mount with a prefix needs all mounts before it, and one with a handler itself as well; `temporary` asks for all.
 * Undefined where nothing is to be done. Throws `InvalidArgument` for too many mounts.
 */
export function planActivation(
  mounts: readonly MountPart[],
  temporary: boolean,
  handlers: ReadonlyMap<string, MountHandler>,
): ActivationPlan | undefined {
  if (mounts.length > mountsMax) {
    throw new Failure("InvalidArgument", `too many mounts (${mounts.length}): maximum ${mountsMax}`);
  }
  const types = mounts.map(({ type }) => splitType(type));
  let count: number | undefined;
  for (const [index, { prefixes, type }] of types.entries()) {
    if (prefixes.length > 0) count = index;
    if (temporary || handlers.has(type)) count = index + 1;
  }
  if (count === undefined) return undefined;
  return {
    count,
    handled: types.slice(0, count).map(({ type }) => handlers.has(type) ? type : ""),
    transformed: (types[count]?.prefixes.length ?? 0) > 0,
  };
}
