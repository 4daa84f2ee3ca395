/**
 * Limits on frames that cost the sender nothing and the receiver something.
 *
 * @module
 */
import { ConnectionError, errorCodes } from "./frames.ts";

/** Frames that carry nothing, one after another: PING, SETTINGS, empty DATA, PRIORITY, unknown ones. */
const controlsMax = 10_000;
/** Streams that are reset by the peer: so many at once, and so many in each second. kubelet gives up hundreds at a time. */
const resetsMax = 10_000;
const resetsPerSecond = 1_000;

/** Counts for one connection. Throws `ConnectionError` with ENHANCE_YOUR_CALM where it is too much. */
export class FloodGuard {
  #controls = 0;
  #resets = 0;
  #since = 0;

  /** A frame that means something. */
  useful(): void {
    this.#controls = 0;
  }

  /** A frame that carries nothing. */
  control(): void {
    if (++this.#controls > controlsMax) {
      throw new ConnectionError(errorCodes.enhanceYourCalm, "too many control frames");
    }
  }

  /** A stream reset by the peer (CVE-2023-44487). */
  reset(): void {
    if (++this.#resets <= resetsPerSecond) return;
    const now = performance.now();
    if (this.#since === 0) this.#since = now;
    const allowed = resetsMax + (now - this.#since) / 1000 * resetsPerSecond;
    if (this.#resets > allowed) throw new ConnectionError(errorCodes.enhanceYourCalm, "too many streams are reset");
  }
}
