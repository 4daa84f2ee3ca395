/**
 * The module of a comparing worker's own thread.
 *
 * @module
 */
import { compare } from "./compare.ts";
import { serveJobs } from "./job_server.ts";

serveJobs(compare);
