/**
 * Work on whole trees, off the main thread: copying, measuring, removing what resists.
 *
 * Small trees are worked on where the caller is, in slices of some milliseconds, because a thread costs 15 ms and memory
 * to start. For the others there is one Worker, and one for removals, made when it is needed and ended when it had nothing
 * to do for a while.
 *
 * @module
 */
import { JobWorker, workerUrl } from "../diff/job_worker.ts";
import { WorkerPool } from "../diff/worker_pool.ts";
import { isSmallTree } from "./small_tree.ts";
import type { Usage } from "./snapshotter.ts";
import { performTreeJob, type TreeJob, type TreeResult } from "./tree_job.ts";

/**
 * The disk is the bottleneck of this work, so that a second one would hardly help; whoever comes later waits for its
 * turn.
 */
const workersMax = 1;
const idleMs = 5_000;

const never = new AbortController().signal;

const makePool = () =>
  new WorkerPool(
    () => new JobWorker<TreeJob, TreeResult>(workerUrl(import.meta.url, "tree_worker_main"), "tree worker"),
    { size: workersMax, idleMs },
  );

const workers = makePool();

/** Nobody's copy waits until another one's millions of files are gone. */
const removers = makePool();

/**
 * Performs a job on the worker. Rejects with its `Failure`, `Internal` where the thread died, or the signal's reason
 * once that is aborted.
 */
export async function onTreeWorker(job: TreeJob, signal: AbortSignal = never): Promise<TreeResult> {
  const pool = job.kind === "remove" ? removers : workers;
  return await pool.use(signal, (worker) => worker.run(job, signal));
}

async function perform(job: TreeJob, small: boolean, signal: AbortSignal): Promise<TreeResult> {
  return small ? await performTreeJob(job, () => signal.throwIfAborted()) : await onTreeWorker(job, signal);
}

/** Copies a snapshot's tree, see `copyTree()`. Rejects with a `Failure` or the signal's reason. */
export async function copySnapshot(from: string, to: string, signal: AbortSignal = never): Promise<void> {
  await perform({ kind: "copy", from, to }, isSmallTree(from), signal);
}

/** Measures a tree, see `treeUsage()`. Rejects with what the kernel says, or the signal's reason. */
export async function snapshotUsage(path: string, base?: string, signal: AbortSignal = never): Promise<Usage> {
  const usage = await perform({ kind: "usage", path, base }, isSmallTree(path), signal);
  // That is what this kind of job gives.
  return usage!;
}

/** Ends the workers' threads; what they do now fails. A later job makes another one. */
export function stopTreeWorker(): void {
  workers[Symbol.dispose]();
  removers[Symbol.dispose]();
}
