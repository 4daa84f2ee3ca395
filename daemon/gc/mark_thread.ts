/**
 * Marking beside the event loop: here where the database is small, else in a thread.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Database } from "../metadata/database.ts";
import { findDead, type Marks } from "./mark.ts";
import type { MarkReply, MarkRequest } from "./mark_worker_main.ts";
import type { DeadObject, ObjectName } from "./reader.ts";

/** So many rows are marked within some 10 ms; a thread costs 10 ms and as many megabytes itself. */
const inlineRowsMax = 3_000;
/** Marking takes seconds for millions of rows. One that takes longer hangs, on a disk that does not answer. */
const deadlineMs = 120_000;

const countQuery =
  "SELECT (SELECT count(*) FROM refs) + (SELECT count(*) FROM labels) + (SELECT count(*) FROM blobs) + " +
  "(SELECT count(*) FROM snapshots) + (SELECT count(*) FROM images) AS rows";

/** See {@link findDead}; never holds the event loop for long. `inlineMax` is for tests. */
export async function mark(
  database: Database,
  now: number,
  signal: AbortSignal,
  inlineMax: number = inlineRowsMax,
): Promise<Marks> {
  const rows = await database.read(() => database.get<{ rows: number }>(countQuery)!.rows);
  if (rows <= inlineMax) return await database.read(() => findDead(database, now));
  return await markInThread({ path: database.path, now }, AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]));
}

function workerUrl(): URL {
  // Beside this module in the source tree and in a compiled executable, beside the program in a bundle.
  const isSource = new URL(import.meta.url).pathname.endsWith(".ts");
  return new URL(isSource ? "./mark_worker_main.ts" : "./mark_worker_main.js", import.meta.url);
}

async function markInThread(request: MarkRequest, signal: AbortSignal): Promise<Marks> {
  signal.throwIfAborted();
  const worker = new Worker(workerUrl(), { type: "module", name: "barge-mark" });
  const { promise, resolve, reject } = Promise.withResolvers<Marks>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  const dead: DeadObject[] = [];
  const flat: ObjectName[] = [];
  worker.onmessage = ({ data }: MessageEvent<MarkReply>) => {
    switch (data.kind) {
      case "dead":
        for (const object of data.objects) dead.push(object);
        break;
      case "flat":
        for (const object of data.objects) flat.push(object);
        break;
      case "end":
        resolve({ dead, flat, ...(data.nextExpiry === undefined ? {} : { nextExpiry: data.nextExpiry }) });
        break;
      case "failed":
        reject(new Failure("Internal", `mark: ${data.message}`));
    }
  };
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Failure("Internal", `mark: the thread failed: ${event.message}`));
  };
  worker.postMessage(request);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    worker.terminate();
  }
}
