/**
 * Limits on frames that cost the sender nothing and the receiver something.
 *
 * @module
 */
import { ConnectionError, errorCodes } from "./frames.ts";

/** So many at once, and so many again in each second. */
class Allowance {
  #used = 0;
  #since = performance.now();

  constructor(private readonly what: string, private readonly max: number, private readonly perSecond: number) {}

  /** Uses one. Throws `ConnectionError` where none is left. */
  use(): void {
    // The clock is only asked when it matters.
    if (++this.#used <= this.max) return;
    const now = performance.now();
    this.#used = Math.max(0, this.#used - Math.floor((now - this.#since) / 1000 * this.perSecond));
    this.#since = now;
    if (this.#used > this.max) throw new ConnectionError(errorCodes.enhanceYourCalm, `too many ${this.what}`);
  }

  /** All are there again. */
  refill(): void {
    this.#used = 0;
  }
}

/** Counts for one connection. Throws `ConnectionError` with ENHANCE_YOUR_CALM where it is too much. */
export class FloodGuard {
  /** PING, empty DATA, PRIORITY, unknown ones. A client that loads much measures with PINGs, so those come with DATA. */
  readonly #controls = new Allowance("control frames", 10_000, 1_000);
  /** Each goes through all streams. Clients send one or two in their life. */
  readonly #settings = new Allowance("settings", 100, 10);
  /** CVE-2023-44487. A kubelet gives up hundreds of calls at a time; what their handlers hold is limited apart. */
  readonly #resets = new Allowance("streams are reset", 10_000, 1_000);

  /** A frame that means something. */
  useful(): void {
    this.#controls.refill();
  }

  /** A frame that carries nothing. */
  control(): void {
    this.#controls.use();
  }

  /** A change of settings. */
  settings(): void {
    this.#settings.use();
  }

  /** A stream reset by the peer. */
  reset(): void {
    this.#resets.use();
  }
}
