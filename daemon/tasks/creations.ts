/**
 * Tasks that are being made.
 *
 * @module
 */
import { untilAborted } from "../../api/abort.ts";
import { Failure } from "../../api/errors.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { within } from "../../ffi/timer.ts";

/** How long who asks for a task waits until it is made. */
const waitMsMax = 10_000;

/** See the module. */
export class Creations {
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(readonly reactor: Reactor) {}

  /** Whether nothing is being made. */
  get isEmpty(): boolean {
    return this.#underWay.size === 0;
  }

  /** Makes what the key stands for; nobody else makes it meanwhile. Throws `AlreadyExists`, and what `make` throws. */
  async make<T>(key: string, id: string, make: () => Promise<T>): Promise<T> {
    if (this.#underWay.has(key)) throw new Failure("AlreadyExists", `task ${id}`);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#underWay.set(key, promise);
    try {
      return await make();
    } finally {
      this.#underWay.delete(key);
      resolve();
    }
  }

  /** Resolves at once where nothing is being made by that key, else when it was, or after 10 s. Throws the signal's reason. */
  async whenMade(key: string, signal: AbortSignal): Promise<void> {
    const coming = this.#underWay.get(key);
    if (coming !== undefined) await untilAborted(within(this.reactor, coming, waitMsMax), signal);
  }
}
