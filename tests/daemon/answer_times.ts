/**
 * How long small calls wait while a daemon does something large.
 *
 * @module
 */

/** The longest answers, in milliseconds. */
export interface AnswerTimes {
  /** To a call that needs no store. */
  readonly nothing: number;
  /** To one that reads the database. */
  readonly read: number;
  /** To one that waits for the disk. */
  readonly write: number;
  /** Calls that were made. */
  readonly count: number;
}

/** Measures from a thread of its own while `work` runs. */
export async function answerTimes(address: string, work: () => Promise<unknown>): Promise<AnswerTimes> {
  const worker = new Worker(new URL("./answer_times_worker_main.ts", import.meta.url), { type: "module" });
  const { promise: times, resolve, reject } = Promise.withResolvers<AnswerTimes>();
  const ready = Promise.withResolvers<void>();
  worker.onmessage = ({ data }: MessageEvent<"ready" | AnswerTimes>) =>
    data === "ready" ? ready.resolve() : resolve(data);
  worker.onerror = (event) => {
    event.preventDefault();
    const error = new Error(event.message);
    ready.reject(error);
    reject(error);
  };
  // Whichever of the two comes first is told; the other one is nobody's then.
  times.catch(() => {});
  try {
    worker.postMessage(address);
    await ready.promise;
    await work();
    worker.postMessage("stop");
    return await times;
  } finally {
    worker.terminate();
  }
}
