/**
 * The calls that the daemon answers at this moment: what a Go program shows as its goroutines.
 *
 * @module
 */

/** A call that is being answered. */
export interface CallInFlight {
  /** Such as `/containerd.services.version.v1.Version/Version`. */
  readonly method: string;
  readonly peer: string;
  /** By `performance.now()`. */
  readonly startedMs: number;
}

/** Keeps the calls, in the order in which they came. */
export class CallsInFlight {
  readonly #calls = new Set<CallInFlight>();
  #answered = 0;

  /** Notes a call; the returned function notes its end. */
  begin(method: string, peer: string): () => void {
    const call: CallInFlight = { method, peer, startedMs: performance.now() };
    this.#calls.add(call);
    return () => {
      if (this.#calls.delete(call)) this.#answered++;
    };
  }

  /** How many are under way. */
  get size(): number {
    return this.#calls.size;
  }

  /** How many have ended. */
  get answered(): number {
    return this.#answered;
  }

  /** One line for each, the oldest first, up to so many. */
  *lines(max = 1000): Iterable<string> {
    const now = performance.now();
    let left = max;
    for (const { method, peer, startedMs } of this.#calls) {
      if (left-- === 0) {
        yield `and ${this.#calls.size - max} more`;
        return;
      }
      yield `${method} from ${peer}, ${((now - startedMs) / 1000).toFixed(3)}s`;
    }
  }
}
