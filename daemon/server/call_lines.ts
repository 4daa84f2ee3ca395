/**
 * The calls that the daemon answers at this moment, as text: what a Go program shows as its goroutines.
 *
 * @module
 */

/** A call that is being answered. */
export interface CallInFlight {
  /** Such as `/containerd.services.version.v1.Version/Version`. */
  readonly path: string;
  readonly peer: { readonly address: string };
  /** By `performance.now()`. */
  readonly began: number;
}

/** So many are listed: there may be tens of thousands. */
const linesMax = 1000;

/** The number of calls, and a line for each up to the thousandth. */
export function callLines(calls: readonly CallInFlight[]): string {
  const now = performance.now();
  const lines = calls.slice(0, linesMax).map(({ path, peer, began }) =>
    `${path} from ${peer.address}, ${((now - began) / 1000).toFixed(3)}s\n`
  );
  const more = calls.length > linesMax ? `and ${calls.length - linesMax} more\n` : "";
  return `${calls.length} calls in flight\n${lines.join("")}${more}`;
}
