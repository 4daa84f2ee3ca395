/**
 * The Worker's side of jobs: a message for each, one answer for each; `job_worker.ts` is the other side.
 *
 * @module
 */
import { type Code, Failure, messageOf } from "../../api/errors.ts";

/** To the worker. `id` numbers the jobs, so that late messages of an ended one can be told. */
export type JobRequest<Job> =
  | { readonly kind: "start"; readonly id: number; readonly job: Job }
  | { readonly kind: "abort"; readonly id: number };

/** From the worker. */
export type JobReply<Result> =
  | { readonly kind: "done"; readonly id: number; readonly result: Result }
  | { readonly kind: "failed"; readonly id: number; readonly code: Code; readonly message: string };

/** The two members of a worker's global scope that are used here; Deno's types describe only the main scope. */
interface WorkerScope<Job, Result> {
  onmessage: (event: MessageEvent<JobRequest<Job>>) => void;
  postMessage(reply: JobReply<Result>): void;
}

/** Performs one job; `isAborted` turns true once nobody wants it any more. */
export type PerformJob<Job, Result> = (job: Job, isAborted: () => boolean) => Promise<Result> | Result;

/** Answers the jobs that come to this Worker, each by `perform`. Called once, by the Worker's module. */
export function serveJobs<Job, Result>(perform: PerformJob<Job, Result>): void {
  // This is the module of a Worker, whose global scope has these.
  const scope = globalThis as unknown as WorkerScope<Job, Result>;
  const aborted = new Set<number>();
  scope.onmessage = async ({ data: request }) => {
    const { id } = request;
    if (request.kind === "abort") return void aborted.add(id);
    try {
      scope.postMessage({ kind: "done", id, result: await perform(request.job, () => aborted.has(id)) });
    } catch (error) {
      const code = error instanceof Failure ? error.code : "Internal";
      scope.postMessage({ kind: "failed", id, code, message: messageOf(error) });
    } finally {
      aborted.delete(id);
    }
  };
}
