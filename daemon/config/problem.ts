/**
 * What is wrong with a configuration.
 *
 * @module
 */
import { type Origin, showOrigin } from "./tree.ts";

/**
 * How bad it is. With an `error` the daemon does not start; a `problem` (an unknown key) it only tells, and
 * `config check` fails; a `note` (an old version) is told and no more.
 */
export type Severity = "error" | "problem" | "note";

/** One thing that is wrong, at one place. */
export interface Problem {
  readonly severity: Severity;
  readonly at: Origin;
  /** What is, and what would be right; without the place. */
  readonly message: string;
}

/** The problem as one line: `/etc/containerd/config.toml:3:1: unknown key "rooot": did you mean "root"?` */
export function showProblem({ at, message }: Problem): string {
  return `${showOrigin(at)}: ${message}`;
}
