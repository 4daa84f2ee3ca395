/**
 * PINGs of ours on a connection that may die without a word, such as one over TCP.
 *
 * @module
 */

/** See the module. */
export class KeepAlive {
  #every: ReturnType<typeof setInterval> | undefined;
  #unanswered: ReturnType<typeof setTimeout> | undefined;

  /** Pings in each interval; `onSilence` is called when one was not answered in time. */
  start(everyMs: number, answerMs: number, ping: () => void, onSilence: () => void): void {
    this.stop();
    this.#every = setInterval(() => {
      ping();
      clearTimeout(this.#unanswered);
      this.#unanswered = setTimeout(onSilence, answerMs);
    }, everyMs);
  }

  /** The peer has answered. */
  answered(): void {
    clearTimeout(this.#unanswered);
  }

  /** Pings no more. */
  stop(): void {
    clearInterval(this.#every);
    clearTimeout(this.#unanswered);
  }
}
