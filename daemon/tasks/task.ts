/**
 * One task: a container's processes, as the shim that holds them tells of them.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import type { DeleteResponse } from "../../api/gen/runtime/task/v3/shim.ts";
import { wireTime } from "../../api/timestamp.ts";
import type { Bundle } from "./bundle.ts";
import { shimDeadlinesMs } from "./deadlines.ts";
import { isGone, type ShimChannel, type ShimClient } from "./shim_channel.ts";
import type { ShimLog } from "./shim_log.ts";

/** How a process ended. */
export type TaskExit = DeleteResponse;

/** The exit of a process of which nobody knows how it ended. */
export function unknownExit(): TaskExit {
  return { pid: 0, exitStatus: 255, exitedAt: wireTime(Date.now()) };
}

/** Messages of a shim's method. */
type RequestOf<M extends keyof ShimClient> = Parameters<ShimClient[M]>[0];
type ResponseOf<M extends keyof ShimClient> = Awaited<ReturnType<ShimClient[M]>>;

/** Limits of calls that are not the usual ones. */
export type Deadlines = Readonly<Partial<Record<keyof ShimClient, number>>>;

/** A task while it exists. It is made when its shim has started, and forgotten when the bundle is removed. */
export class Task {
  /** Of the container's first process, once it is known. */
  pid = 0;
  /** Whether its exit was told to those who listen. */
  exitTold = false;
  /** Whether the shim did not answer the last question in time. */
  sick = false;
  /** Whether it is being removed by a client: what happens to the shim then is expected. */
  ending = false;
  /** Resolved when the shim was lost and what it left is cleaned up. */
  readonly cleaned: Promise<TaskExit>;
  readonly #resolve: (exit: TaskExit) => void;
  /** Whether the shim was lost. */
  lost = false;
  /** How it ended, once it is cleaned up. */
  exit: TaskExit | undefined;

  constructor(
    readonly bundle: Bundle,
    /** Path of the shim's program. */
    readonly program: string,
    readonly channel: ShimChannel,
    readonly log: ShimLog,
    private readonly deadlines: Deadlines,
  ) {
    const { promise, resolve } = Promise.withResolvers<TaskExit>();
    this.cleaned = promise;
    this.#resolve = resolve;
  }

  /** Notes that what a lost shim left is cleaned up, and how the task ended. */
  end(exit: TaskExit): void {
    this.exit = exit;
    this.#resolve(exit);
  }

  /** The container's namespace. */
  get namespace(): string {
    return this.bundle.namespace;
  }

  /** The container's id. */
  get id(): string {
    return this.bundle.id;
  }

  /**
   * Asks the shim. Throws what it answers, `DeadlineExceeded` where it does not in time, the signal's reason, and
   * `NotFound` where it is gone: by then what it left is cleaned up.
   */
  async call<M extends keyof ShimClient>(
    method: M,
    request: RequestOf<M>,
    signal: AbortSignal,
    msMax: number | undefined = this.deadlines[method] ?? shimDeadlinesMs[method],
  ): Promise<ResponseOf<M>> {
    if (this.exit !== undefined) throw taskNotFound(this.id);
    // By its type, the method takes this request and gives this response.
    const client = this.channel.client as unknown as Record<
      M,
      (request: RequestOf<M>, options: { signal: AbortSignal; timeoutMs?: number }) => Promise<ResponseOf<M>>
    >;
    try {
      const response = await client[method](request, { signal, ...msMax === undefined ? {} : { timeoutMs: msMax } });
      this.sick = false;
      return response;
    } catch (error) {
      if (isFailure(error, "DeadlineExceeded") && !signal.aborted) this.sick = true;
      if (!isGone(error) || !this.lost) throw error;
      await abortable(this.cleaned, signal);
      throw taskNotFound(this.id, error);
    }
  }

  /** Waits for the end of a process; of one whose shim is lost, for what cleaning up after it finds. */
  async wait(execId: string, signal: AbortSignal): Promise<TaskExit> {
    if (this.exit !== undefined) return this.exit;
    try {
      const { exitStatus, exitedAt } = await this.channel.client.wait({ id: this.id, execId }, { signal });
      return { pid: 0, exitStatus, exitedAt };
    } catch (error) {
      if (!isGone(error) || !this.lost) throw error;
      return await abortable(this.cleaned, signal);
    }
  }
}

/** In containerd's words. */
export function taskNotFound(id: string, cause?: unknown): Failure {
  return new Failure("NotFound", `task ${id} not found`, cause === undefined ? {} : { cause });
}

/** The promise's result, unless the signal is aborted before. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
