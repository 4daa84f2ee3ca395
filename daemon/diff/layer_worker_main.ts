/**
 * The module of a layer worker's own thread; `layer_worker.ts` is the other side.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import type { LayerJob, Reply, Request } from "./layer_job.ts";
import { LayerPipeline } from "./layer_pipeline.ts";

/** The two members of a worker's global scope that are used here; Deno's types describe only the main scope. */
interface WorkerScope {
  onmessage: (event: MessageEvent<Request>) => void;
  postMessage(reply: Reply): void;
}

const scope = globalThis as unknown as WorkerScope;

/** Progress is told about after so many bytes: 250 times for an image of 250 MB, which costs nothing. */
const progressBytes = 1 << 20;

/** A job from its start to its one answer. Messages are handled one after another. */
class RunningJob {
  readonly #id: number;
  #pipeline: LayerPipeline | undefined;
  #queue: Promise<void> = Promise.resolve();
  #ended = false;
  #aborted = false;
  #told = 0;

  constructor(id: number, job: LayerJob) {
    this.#id = id;
    this.#then(async () => {
      this.#pipeline = new LayerPipeline(job, (bytes) => this.#progress(bytes));
      await this.#pipeline.begin();
    });
  }

  #progress(bytesApplied: number): void {
    if (bytesApplied - this.#told < progressBytes) return;
    this.#told = bytesApplied;
    scope.postMessage({ kind: "progress", id: this.#id, bytesApplied });
  }

  write(bytes: Uint8Array): void {
    // The length is taken now: zlib may hold on to the bytes, but nothing shortens them.
    const { length } = bytes;
    this.#then(async () => {
      await this.#pipeline?.write(bytes);
      scope.postMessage({ kind: "credit", id: this.#id, bytes: length });
    });
  }

  finish(): void {
    this.#then(async () => {
      const result = await this.#pipeline!.finish();
      this.#end({ kind: "done", id: this.#id, result });
    });
  }

  /** Ends at once: what is queued is dropped, a running step ends at its next look at the flag. */
  abort(): void {
    this.#aborted = true;
    if (this.#pipeline !== undefined) this.#pipeline.aborted = true;
    this.#queue = this.#queue.then(() => this.#end({ kind: "aborted", id: this.#id }));
  }

  #then(step: () => Promise<void>): void {
    this.#queue = this.#queue.then(async () => {
      if (this.#ended || this.#aborted) return;
      try {
        await step();
      } catch (error) {
        if (this.#aborted) return;
        const code = error instanceof Failure ? error.code : "Internal";
        this.#end({ kind: "failed", id: this.#id, code, message: messageOf(error) });
      }
    });
  }

  #end(reply: Reply): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pipeline?.close();
    scope.postMessage(reply);
  }
}

let running: RunningJob | undefined;
let runningId = -1;

scope.onmessage = ({ data: request }) => {
  if (request.kind === "start") {
    running = new RunningJob(request.id, request.job);
    runningId = request.id;
    return;
  }
  // A message that crossed with the answer of its job.
  if (request.id !== runningId) return;
  switch (request.kind) {
    case "chunk":
      return running?.write(request.bytes);
    case "finish":
      return running?.finish();
    case "abort":
      return running?.abort();
  }
};
