/**
 * A few layer workers, each for one layer after another.
 *
 * @module
 */
import { LayerWorker } from "../diff/layer_worker.ts";

/**
 * At most `size` workers, started when they are first needed. Whoever asks first is served first: layers are asked for
 * from the base up, so a layer that others wait for is never behind them.
 */
export class LayerWorkers implements Disposable {
  readonly #idle: LayerWorker[] = [];
  readonly #all: LayerWorker[] = [];
  readonly #waiting: ((worker: LayerWorker) => void)[] = [];

  constructor(private readonly size: number) {}

  /** Runs the body with a worker that is its own until the body ends. */
  async use<T>(body: (worker: LayerWorker) => Promise<T>): Promise<T> {
    const worker = await this.#take();
    try {
      return await body(worker);
    } finally {
      await worker.abort();
      delete worker.progress;
      const next = this.#waiting.shift();
      if (next === undefined) this.#idle.push(worker);
      else next(worker);
    }
  }

  #take(): Promise<LayerWorker> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return Promise.resolve(idle);
    if (this.#all.length < this.size) {
      const worker = new LayerWorker();
      this.#all.push(worker);
      return Promise.resolve(worker);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Ends the workers' threads. */
  [Symbol.dispose](): void {
    for (const worker of this.#all) worker[Symbol.dispose]();
  }
}
