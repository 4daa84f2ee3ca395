/**
 * One task: a container's processes, as the shim that holds them tells of them.
 *
 * @module
 */
import { untilAborted } from "../../api/abort.ts";
import { Failure, isFailure } from "../../api/errors.ts";
import type { DeleteResponse } from "../../api/gen/runtime/task/v3/shim.ts";
import { wireTime } from "../../api/timestamp.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { Bundle } from "./bundle.ts";
import { shimDeadlinesMs } from "./deadlines.ts";
import { isGone, type ShimChannel, type ShimClient } from "./shim_channel.ts";
import type { ShimLog } from "./shim_log.ts";
import { lingers } from "./shim_program.ts";

/** How a process ended. */
export type TaskExit = DeleteResponse;

/** The exit of a process of which nobody knows how it ended. */
export function unknownExit(): TaskExit {
  return { pid: 0, exitStatus: 255, exitedAt: wireTime(wallTimeMs()) };
}

/** Messages of a shim's method. */
type RequestOf<M extends keyof ShimClient> = Parameters<ShimClient[M]>[0];
type ResponseOf<M extends keyof ShimClient> = Awaited<ReturnType<ShimClient[M]>>;

/** Limits of calls that are not the usual ones. */
export type Deadlines = Readonly<Partial<Record<keyof ShimClient, number>>>;

/** What may be asked again of a successor where the shim died before it answered: twice is as good as once. */
const repeatable: ReadonlySet<keyof ShimClient> = new Set<keyof ShimClient>([
  ...["state", "pids", "stats", "connect", "wait"] as const,
  ...["kill", "resizePty", "closeIO", "update", "delete"] as const,
]);

/** A process that is stuck in the kernel ends when that lets it. */
const cleanedMsMax = 60_000;
/** Execs that have ended and that nobody has deleted. */
const execsToldMax = 256;

/**
 * A task while it exists. It is made when its shim has started, and forgotten when the bundle is removed.
 *
 * When its shim is lost, either another one takes it over, or it is cleaned up: who asks meanwhile waits for that.
 */
export class Task {
  /** Of the container's first process, once it is known. */
  pid = 0;
  /** Whether its exit was told to those who listen. */
  exitTold = false;
  /** Whether the shim did not answer the last question in time. */
  sick = false;
  /** Whether it is being removed by a client: what happens to the shim then is expected. */
  ending = false;
  /** Whether a client wanted it to end since its shim has answered last. */
  unwanted = false;
  /** Whether it is to be cleaned up, and not taken over, when its shim is lost. */
  condemned = false;
  /** How it ended, once it is cleaned up. */
  exit: TaskExit | undefined;
  readonly #execsTold = new Set<string>();
  readonly #cleaned = Promise.withResolvers<TaskExit>();
  #channel: ShimChannel;
  /** Resolved when it is known what becomes of a task whose shim was lost. */
  #settling: PromiseWithResolvers<void> | undefined;

  constructor(
    readonly bundle: Bundle,
    /** Path of the shim's program. */
    readonly program: string,
    channel: ShimChannel,
    readonly log: ShimLog,
    private readonly deadlines: Deadlines,
  ) {
    this.#channel = channel;
  }

  /** The way to the shim that holds it. */
  get channel(): ShimChannel {
    return this.#channel;
  }

  /** Whether the shim was lost, and it is not known yet what becomes of the task, or it was cleaned up. */
  get lost(): boolean {
    return this.#settling !== undefined || this.exit !== undefined;
  }

  /** Execs whose exits were told to those who listen: the last ones, as most are deleted soon after. */
  get execsTold(): ReadonlySet<string> {
    return this.#execsTold;
  }

  /** Notes that the exit of an exec was told. */
  noteExecTold(execId: string): void {
    this.#execsTold.delete(execId);
    this.#execsTold.add(execId);
    if (this.#execsTold.size > execsToldMax) this.#execsTold.delete(this.#execsTold.values().next().value!);
  }

  /** Notes that the shim was lost. */
  lose(): void {
    this.#settling = Promise.withResolvers();
  }

  /** Notes that another shim has taken it over. */
  settleAt(channel: ShimChannel): void {
    this.#channel = channel;
    this.sick = false;
    this.#settled();
  }

  /** Notes that what a lost shim left is cleaned up, and how the task ended. */
  end(exit: TaskExit): void {
    this.exit = exit;
    this.#cleaned.resolve(exit);
    this.#settled();
  }

  /**
   * Waits until the shim that was killed is lost, and what it left is cleaned up. Throws the signal's reason, and
   * `DeadlineExceeded`.
   */
  async cleaned(signal: AbortSignal): Promise<TaskExit> {
    const late = AbortSignal.timeout(cleanedMsMax);
    try {
      return await untilAborted(this.#cleaned.promise, AbortSignal.any([signal, late]));
    } catch (error) {
      if (signal.aborted || !late.aborted) throw error;
      const text = `the shim of task ${this.id} was killed, and has not ended within ${cleanedMsMax / 1000} s`;
      throw new Failure("DeadlineExceeded", text, { cause: error });
    }
  }

  #settled(): void {
    const settling = this.#settling;
    this.#settling = undefined;
    settling?.resolve();
  }

  /** Waits until it is known what becomes of a task whose shim was lost. Throws the signal's reason. */
  async settled(signal: AbortSignal): Promise<void> {
    while (this.#settling !== undefined) await untilAborted(this.#settling.promise, signal);
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
   * Asks the shim. Throws what it answers, `DeadlineExceeded` where it does not in time, the signal's reason, `NotFound`
   * where it is gone and what it left is cleaned up, and `Unavailable` where it died before it answered and another one
   * has taken the task over: it is asked again only what can be asked twice.
   */
  async call<M extends keyof ShimClient>(
    method: M,
    request: RequestOf<M>,
    signal: AbortSignal,
    msMax: number | undefined = this.deadlines[method] ?? shimDeadlinesMs[method],
  ): Promise<ResponseOf<M>> {
    if (this.#settling !== undefined) await this.#settledInTime(method, signal, msMax);
    if (this.exit !== undefined) throw taskNotFound(this.id);
    const channel = this.#channel;
    // By its type, the method takes this request and gives this response.
    const client = channel.client as unknown as Record<
      M,
      (request: RequestOf<M>, options: { signal: AbortSignal; timeoutMs?: number }) => Promise<ResponseOf<M>>
    >;
    try {
      const called = client[method](request, { signal, ...msMax === undefined ? {} : { timeoutMs: msMax } });
      const response = await (this.#isWatched(method) ? channel.watch(called) : called);
      this.#answered(channel);
      return response;
    } catch (error) {
      if (isFailure(error, "DeadlineExceeded") && !signal.aborted) this.#late(method, msMax, error);
      if (!isGone(error) || channel.open) throw error;
      if (this.#settling !== undefined) await this.#settledInTime(method, signal, msMax);
      if (this.exit !== undefined) throw taskNotFound(this.id, error);
      if (this.#channel === channel) throw error;
      if (repeatable.has(method)) return await this.call(method, request, signal, msMax);
      const text = `the shim of task ${this.id} died before it had answered ${method}; another one has taken it over`;
      throw new Failure("Unavailable", text, { cause: error });
    }
  }

  /** Shims of others may have methods that others of theirs wait for; an end may be waited for as long as it takes. */
  #isWatched(method: keyof ShimClient): boolean {
    return method !== "wait" && lingers(this.program);
  }

  #answered(channel: ShimChannel): void {
    this.sick = false;
    // Whoever wanted it to end has to say so again.
    this.unwanted = false;
    channel.noteAnswer();
  }

  #late(method: string, msMax: number | undefined, cause: Failure): never {
    this.sick = true;
    this.#channel.noteLate(`${method} of task ${this.id}: ${cause.message}`);
    const shim = `the shim of task ${this.id}${
      this.#channel.pid === undefined ? "" : ` (process ${this.#channel.pid})`
    }`;
    const own = cause.message === "context deadline exceeded";
    // A shim that has a deadline of its own says it in its own words.
    if (msMax === undefined || !own && !this.#channel.isSilent) throw cause;
    const text = `${shim} did not answer ${method}${own ? ` within ${msMax / 1000} s` : ""}: ${cause.message}`;
    throw new Failure("DeadlineExceeded", text, { cause });
  }

  async #settledInTime(method: string, signal: AbortSignal, msMax: number | undefined): Promise<void> {
    if (msMax === undefined) return await this.settled(signal);
    const late = AbortSignal.timeout(msMax);
    try {
      await this.settled(AbortSignal.any([signal, late]));
    } catch (error) {
      if (signal.aborted || !late.aborted) throw error;
      const text = `task ${this.id} has no shim that could answer ${method}: another one is to take it over`;
      throw new Failure("DeadlineExceeded", text, { cause: error });
    }
  }

  /** Waits for the end of a process; of one whose task is cleaned up after its shim was lost, for what that finds. */
  async wait(execId: string, signal: AbortSignal): Promise<TaskExit> {
    try {
      const { exitStatus, exitedAt } = await this.call("wait", { id: this.id, execId }, signal);
      return { pid: 0, exitStatus, exitedAt };
    } catch (error) {
      if (this.exit === undefined || signal.aborted) throw error;
      return this.exit;
    }
  }
}

/** In containerd's words. */
export function taskNotFound(id: string, cause?: unknown): Failure {
  return new Failure("NotFound", `task ${id} not found`, cause === undefined ? {} : { cause });
}
