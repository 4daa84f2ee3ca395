/**
 * A bound for what streams keep open.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** Places for streams; each keeps a file or two open. */
export class StreamLimit {
  #used = 0;

  constructor(private readonly max: number) {}

  /** Takes a place until it is disposed. Throws `Unavailable`, which clients try again by themselves. */
  take(): Disposable {
    if (this.#used >= this.max) {
      const message = `${this.max} reads and writes of content are under way, and no more are taken: try again later`;
      throw new Failure("Unavailable", message);
    }
    this.#used++;
    let taken = true;
    return {
      [Symbol.dispose]: () => {
        if (taken) this.#used--;
        taken = false;
      },
    };
  }
}
