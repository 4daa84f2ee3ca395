/**
 * Where the daemon answers otherwise than the stock containerd that it is compared with, and why.
 *
 * @module
 */

/** One difference that is meant. */
export interface Difference {
  /** The command, without `ctr`. */
  readonly command: RegExp;
  /** What barge prints there. */
  readonly ours: RegExp;
  /** What Debian's containerd 1.6 prints there. */
  readonly stock: RegExp;
  readonly reason: string;
}

/** All of them. */
export const differences: readonly Difference[] = [];

/** Whether a difference is one of the listed ones. */
export function expectedDifference(command: string, ours: string, stock: string): boolean {
  return differences.some((one) => one.command.test(command) && one.ours.test(ours) && one.stock.test(stock));
}
