/**
 * The module of a mounting worker's own thread.
 *
 * @module
 */
import { serveJobs } from "../diff/job_server.ts";
import { performMountJob } from "./mount_job.ts";

serveJobs(performMountJob);
