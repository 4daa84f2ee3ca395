/**
 * A few workers of one kind, each for one job after another.
 *
 * @module
 */

/** Options of {@link WorkerPool}. */
export interface WorkerPoolOptions {
  /** Most that work at once; whoever comes later waits for its turn. */
  readonly size: number;
  /** A worker that had nothing to do for so long is ended: a thread costs some 10 MB. Default 10 s. */
  readonly idleMs?: number;
}

interface Idle<W> {
  readonly worker: W;
  readonly timer: ReturnType<typeof setTimeout>;
}

interface Waiting<W> {
  readonly turn: PromiseWithResolvers<W>;
}

/** Workers that are made when they are first needed. Who asks first is served first. */
export class WorkerPool<W extends Disposable> implements Disposable {
  readonly #all = new Set<W>();
  readonly #idle: Idle<W>[] = [];
  readonly #waiting: Waiting<W>[] = [];

  constructor(private readonly make: () => W, private readonly options: WorkerPoolOptions) {}

  /** Runs the body with a worker that is its own until the body ends. Rejects with the signal's reason while waiting. */
  async use<T>(signal: AbortSignal, body: (worker: W) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const worker = await this.#take(signal);
    try {
      return await body(worker);
    } finally {
      this.#giveBack(worker);
    }
  }

  async #take(signal: AbortSignal): Promise<W> {
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      clearTimeout(idle.timer);
      return idle.worker;
    }
    if (this.#all.size < this.options.size) {
      const worker = this.make();
      this.#all.add(worker);
      return worker;
    }
    const waiting: Waiting<W> = { turn: Promise.withResolvers<W>() };
    this.#waiting.push(waiting);
    const leave = () => {
      const index = this.#waiting.indexOf(waiting);
      if (index === -1) return;
      this.#waiting.splice(index, 1);
      waiting.turn.reject(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await waiting.turn.promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #giveBack(worker: W): void {
    if (!this.#all.has(worker)) return;
    const next = this.#waiting.shift();
    if (next !== undefined) return next.turn.resolve(worker);
    const timer = setTimeout(() => this.#retire(worker), this.options.idleMs ?? 10_000);
    // It is no reason for the process to stay.
    Deno.unrefTimer(timer);
    this.#idle.push({ worker, timer });
  }

  #retire(worker: W): void {
    this.#idle.splice(this.#idle.findIndex((idle) => idle.worker === worker), 1);
    this.#all.delete(worker);
    worker[Symbol.dispose]();
  }

  /** Ends all workers; their jobs fail. */
  [Symbol.dispose](): void {
    for (const { timer } of this.#idle.splice(0)) clearTimeout(timer);
    for (const worker of this.#all) worker[Symbol.dispose]();
    this.#all.clear();
  }
}
