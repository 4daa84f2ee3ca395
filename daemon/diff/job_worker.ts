/**
 * A thread for one job after another, so that the daemon's event loop stays free; `job_server.ts` is the other side.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { JobReply, JobRequest } from "./job_server.ts";

/** A worker that has not answered an abort after this time is stopped by force. */
const abortMsMax = 5_000;

interface Pending<Result> {
  readonly id: number;
  readonly outcome: PromiseWithResolvers<Result>;
}

/** One thread. It keeps the process alive until it is disposed of. */
export class JobWorker<Job, Result> implements Disposable {
  readonly #url: URL;
  readonly #name: string;
  #worker: Worker | undefined;
  #lastId = 0;
  #pending: Pending<Result> | undefined;

  /** `url` is that of a module which calls `serveJobs()`; the thread is started by the first job. */
  constructor(url: URL, name: string) {
    this.#url = url;
    this.#name = name;
  }

  /**
   * Performs a job. Rejects with its {@link Failure}, with the signal's reason once that is aborted and the job has
   * ended, and with `Internal` where the thread died. One at a time.
   */
  async run(job: Job, signal: AbortSignal): Promise<Result> {
    if (this.#pending !== undefined) throw new Error(`the worker "${this.#name}" has a job already`);
    signal.throwIfAborted();
    const pending: Pending<Result> = { id: ++this.#lastId, outcome: Promise.withResolvers<Result>() };
    this.#pending = pending;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const abort = () => {
      this.#post({ kind: "abort", id: pending.id });
      timer = setTimeout(() => this.#crashed(this.#worker, "it did not answer an abort"), abortMsMax);
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      this.#worker ??= this.#spawn();
      this.#post({ kind: "start", id: pending.id, job });
      return await pending.outcome.promise;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      this.#pending = undefined;
    }
  }

  #post(request: JobRequest<Job>): void {
    this.#worker?.postMessage(request);
  }

  #spawn(): Worker {
    const worker = new Worker(this.#url, { type: "module", name: `barge-${this.#name}` });
    worker.onmessage = ({ data: reply }: MessageEvent<JobReply<Result>>) => {
      if (reply.id !== this.#pending?.id) return;
      if (reply.kind === "done") this.#pending.outcome.resolve(reply.result);
      else this.#pending.outcome.reject(new Failure(reply.code, reply.message));
    };
    worker.onerror = (event) => {
      // Without this an error in the worker would end the whole process.
      event.preventDefault();
      this.#crashed(worker, event.message);
    };
    worker.onmessageerror = () => this.#crashed(worker, "a message could not be read");
    return worker;
  }

  #crashed(worker: Worker | undefined, reason: string): void {
    worker?.terminate();
    if (worker === undefined || this.#worker !== worker) return;
    this.#worker = undefined;
    this.#pending?.outcome.reject(
      new Failure("Internal", `the worker "${this.#name}" ended unexpectedly: ${reason}`),
    );
  }

  /** Stops the thread; a job that still runs fails with `Canceled`. */
  [Symbol.dispose](): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#pending?.outcome.reject(new Failure("Canceled", `the worker "${this.#name}" was stopped`));
  }
}

/**
 * Where a worker's module is: beside the importing one in the source tree and in a compiled executable, and beside the
 * program, as JavaScript, when everything was bundled into one file.
 */
export function workerUrl(importer: string, name: string): URL {
  const isSource = new URL(importer).pathname.endsWith(".ts");
  return new URL(isSource ? `./${name}.ts` : `./${name}.js`, importer);
}
