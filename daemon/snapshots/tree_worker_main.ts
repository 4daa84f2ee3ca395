/**
 * The Worker for work on whole trees; see `tree_work.ts`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { serveJobs } from "../diff/job_server.ts";
import { performTreeJob, type TreeJob, type TreeResult } from "./tree_job.ts";

serveJobs<TreeJob, TreeResult>(async (job, isAborted) =>
  await performTreeJob(job, () => {
    if (isAborted()) throw new Failure("Canceled", "the caller gave up");
  })
);
