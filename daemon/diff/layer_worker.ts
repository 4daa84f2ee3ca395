/**
 * A thread that stores, hashes, inflates and applies layers, so that the daemon's event loop stays free.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { LayerJob, LayerResult, Reply, Request } from "./layer_job.ts";

export type { LayerJob, LayerResult, LayerTarget } from "./layer_job.ts";

/** Bytes that may be on their way to the worker: enough to hide its turns, little enough for many layers at once. */
const creditBytes = 8 << 20;

/** A worker that has not answered an abort after this time is stopped by force. */
const abortMsMax = 5_000;

/**
 * Where the worker's module is: beside this one in the source tree and in a compiled executable, and beside the
 * program, as JavaScript, when everything was bundled into one file.
 */
function workerUrl(): URL {
  const isSource = new URL(import.meta.url).pathname.endsWith(".ts");
  return new URL(isSource ? "./layer_worker_main.ts" : "./layer_worker_main.js", import.meta.url);
}

/** A job as this side sees it. */
interface Pending {
  readonly id: number;
  readonly outcome: PromiseWithResolvers<LayerResult>;
  /** Resolved by any of the three answers, and by the worker's end. */
  readonly answered: PromiseWithResolvers<void>;
  outstanding: number;
  /** Those who wait for credit. */
  waiting: PromiseWithResolvers<void>[];
  failure: Failure | undefined;
}

/**
 * One thread, for any number of jobs one after another: `start`, then `write` until the bytes end, then `finish`; or
 * `abort` at any time between. A job that has failed still wants its `finish` or `abort`.
 *
 * The thread keeps the process alive until the worker is disposed of.
 */
export class LayerWorker implements Disposable {
  readonly #url: URL;
  #worker: Worker | undefined;
  #lastId = 0;
  #job: Pending | undefined;

  /** Called now and then with the number of tar bytes applied so far. */
  progress?: (bytesApplied: number) => void;

  /** Starts the thread, which takes some 25 ms that nobody has to wait for. `url`: another module, for tests. */
  constructor(url: URL = workerUrl()) {
    this.#url = url;
    this.#spawn();
  }

  #spawn(): Worker {
    const worker = new Worker(this.#url, { type: "module", name: "barge-layer" });
    worker.onmessage = (event: MessageEvent<Reply>) => this.#receive(event.data);
    worker.onerror = (event) => {
      // Without this an error in the worker would end the whole process.
      event.preventDefault();
      this.#crashed(worker, event.message);
    };
    worker.onmessageerror = () => this.#crashed(worker, "a message could not be read");
    return this.#worker = worker;
  }

  #crashed(worker: Worker, reason: string): void {
    worker.terminate();
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#fail(new Failure("Internal", `unpacking a layer: the worker ended unexpectedly: ${reason}`));
  }

  #receive(reply: Reply): void {
    const job = this.#job;
    if (job === undefined || reply.id !== job.id) return;
    switch (reply.kind) {
      case "credit":
        job.outstanding -= reply.bytes;
        if (job.outstanding <= creditBytes) { for (const waiter of job.waiting.splice(0)) waiter.resolve(); }
        return;
      case "progress":
        return this.progress?.(reply.bytesApplied);
      case "done":
        job.outcome.resolve(reply.result);
        return job.answered.resolve();
      case "failed":
        return this.#fail(new Failure(reply.code, reply.message));
      case "aborted":
        return this.#fail(new Failure("Canceled", "unpacking a layer: canceled"));
    }
  }

  #fail(failure: Failure): void {
    const job = this.#job;
    if (job === undefined) return;
    job.failure ??= failure;
    for (const waiter of job.waiting.splice(0)) waiter.reject(job.failure);
    job.outcome.reject(job.failure);
    job.answered.resolve();
  }

  #post(request: Request, transfer: Transferable[] = []): void {
    this.#worker?.postMessage(request, transfer);
  }

  #current(): Pending {
    if (this.#job === undefined) throw new Error("the layer worker has no job: start() comes first");
    return this.#job;
  }

  /** Begins a job. Its failures come from the other calls. Throws where the last job was neither finished nor aborted. */
  start(job: LayerJob): void {
    if (this.#job !== undefined) throw new Error("the layer worker has a job already: finish() or abort() comes first");
    const outcome = Promise.withResolvers<LayerResult>();
    // Whether anybody is waiting for it yet or not: a failure is no unhandled rejection.
    outcome.promise.catch(() => {});
    this.#job = {
      id: ++this.#lastId,
      outcome,
      answered: Promise.withResolvers<void>(),
      outstanding: 0,
      waiting: [],
      failure: undefined,
    };
    if (this.#worker === undefined) this.#spawn();
    this.#post({ kind: "start", id: this.#job.id, job });
  }

  /**
   * Gives the worker the next bytes and resolves when it can take more. The chunk's buffer is transferred and must not
   * be used again; a view of a larger buffer is copied first. Rejects with the job's {@link Failure}.
   */
  async write(chunk: Uint8Array): Promise<void> {
    const job = this.#current();
    if (job.failure !== undefined) throw job.failure;
    if (chunk.length === 0) return;
    const isWhole = chunk.byteLength === chunk.buffer.byteLength && chunk.buffer instanceof ArrayBuffer;
    // A copy by constructor, because slice() of a Node buffer is a view; `isWhole` has seen that the memory is not shared.
    const bytes = isWhole ? chunk as Uint8Array<ArrayBuffer> : new Uint8Array(chunk);
    job.outstanding += bytes.length;
    this.#post({ kind: "chunk", id: job.id, bytes }, [bytes.buffer]);
    if (job.outstanding <= creditBytes) return;
    const waiter = Promise.withResolvers<void>();
    job.waiting.push(waiter);
    await waiter.promise;
  }

  /** Says that all bytes have been written, and gives the result. Rejects with the job's {@link Failure}. */
  async finish(): Promise<LayerResult> {
    const job = this.#current();
    this.#post({ kind: "finish", id: job.id });
    try {
      return await job.outcome.promise;
    } finally {
      if (this.#job === job) this.#job = undefined;
    }
  }

  /** Ends the job, if there is one; afterwards nothing is written any more. Never rejects. */
  async abort(): Promise<void> {
    const job = this.#job;
    if (job === undefined) return;
    this.#post({ kind: "abort", id: job.id });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"late">((resolve) => timer = setTimeout(() => resolve("late"), abortMsMax));
    const answer = await Promise.race([job.answered.promise, late]);
    clearTimeout(timer);
    if (answer === "late" && this.#worker !== undefined) this.#crashed(this.#worker, "it did not answer an abort");
    // finish() may wait at the same time.
    this.#fail(new Failure("Canceled", "unpacking a layer: canceled"));
    if (this.#job === job) this.#job = undefined;
  }

  /** Stops the thread; a job that still runs fails with `Canceled`. */
  [Symbol.dispose](): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#fail(new Failure("Canceled", "unpacking a layer: canceled"));
    this.#job = undefined;
  }
}
