/**
 * Which containers are started again, or stopped, by their labels.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { type Process, Status } from "../../api/gen/types/task/task.ts";

/** Labels of containers that the restart monitor looks after; names and values are containerd's. */
export const restartLabels = {
  /** What is wanted: `running` or `stopped`. */
  status: "containerd.io/restart.status",
  /** See {@link parsePolicy}. Without it: always. */
  policy: "containerd.io/restart.policy",
  /** How often it was started again. */
  count: "containerd.io/restart.count",
  /** Where its output goes then. */
  logUri: "containerd.io/restart.loguri",
  /** `true` where somebody has stopped it. */
  explicitlyStopped: "containerd.io/restart.explicitly-stopped",
} as const;

/** When a container is started again. */
export type RestartPolicy =
  | { readonly name: "no" | "always" | "unless-stopped" }
  /** `retriesMax` 0: any number. */
  | { readonly name: "on-failure"; readonly retriesMax: number };

/** Capabilities of the monitor: policies that clients may use. */
export const restartPolicies = ["no", "always", "on-failure", "unless-stopped"] as const;

/** Reads a policy: `always` (also empty), `on-failure[:N]`, `unless-stopped`, `no`. Throws `InvalidArgument`. */
export function parsePolicy(text: string): RestartPolicy {
  const [name, retries, ...rest] = text.split(":");
  const bad = () =>
    new Failure("InvalidArgument", `restart policy "${text}" is not valid: want ${restartPolicies.join(", ")}`);
  switch (name) {
    case "":
      if (text !== "") throw bad();
      return { name: "always" };
    case "no":
    case "always":
    case "unless-stopped":
      if (retries !== undefined) throw bad();
      return { name };
    case "on-failure":
      if (rest.length > 0 || !/^\d{0,9}$/.test(retries ?? "")) throw bad();
      return { name, retriesMax: Number(retries ?? 0) };
    default:
      throw bad();
  }
}

/** What is to be done with a container. */
export type RestartDecision = "start" | "stop" | "leave";

/**
 * What is to be done with a container with these labels, whose task is in this state; undefined where it has none. Throws
 * as {@link parsePolicy}.
 */
export function decide(
  labels: Readonly<Record<string, string>>,
  process: Pick<Process, "status" | "exitStatus"> | undefined,
): RestartDecision {
  const wanted = labels[restartLabels.status];
  if (wanted === "stopped") return process === undefined || process.status === Status.STOPPED ? "leave" : "stop";
  if (wanted !== "running") return "leave";
  // What does not answer may well be running: nothing is killed on a suspicion.
  const left: readonly Status[] = [Status.RUNNING, Status.PAUSED, Status.PAUSING, Status.UNKNOWN];
  if (process !== undefined && left.includes(process.status)) return "leave";
  const policy = parsePolicy(labels[restartLabels.policy] ?? "");
  switch (policy.name) {
    case "no":
      return "leave";
    case "always":
      return "start";
    case "unless-stopped":
      return /^(1|t|true)$/i.test(labels[restartLabels.explicitlyStopped] ?? "") ? "leave" : "start";
    case "on-failure": {
      const failed = (process?.exitStatus ?? 0) !== 0;
      const retries = Number(labels[restartLabels.count] ?? 0) || 0;
      return failed && (policy.retriesMax === 0 || retries < policy.retriesMax) ? "start" : "leave";
    }
  }
}

/**
 * A container without a task, or with one that was not started yet, may be one that its client is just about to start:
 * only when it has been so for this long, nobody is.
 */
const settleMs = 5_000;

/** Since when containers are about to be started, as far as anybody can see. */
export class RestartSettling {
  readonly #since = new Map<string, number>();

  /** Whether the container has been so for long enough; `nowMs` is of a clock that only goes forwards. */
  isOver(key: string, process: Pick<Process, "status"> | undefined, nowMs: number): boolean {
    if (process !== undefined && process.status !== Status.CREATED) {
      this.#since.delete(key);
      return true;
    }
    const since = this.#since.get(key) ?? nowMs;
    this.#since.set(key, since);
    return nowMs - since >= settleMs;
  }

  /** Forgets all but these. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#since.keys()) if (!keys.has(key)) this.#since.delete(key);
  }
}

/** A container that ran at least this long has started well. */
const goodMs = 10_000;
const pauseMsMax = 300_000;

/** How long to wait between two starts of containers that fail again and again: twice as long each time, from 1 s. */
export class RestartPauses {
  readonly #starts = new Map<string, { atMs: number; failures: number }>();

  /** Whether the container may be started now; `nowMs` is of a clock that only goes forwards. */
  allows(key: string, nowMs: number): boolean {
    const start = this.#starts.get(key);
    if (start === undefined) return true;
    const pauseMs = Math.min(1000 * 2 ** start.failures, pauseMsMax);
    return nowMs - start.atMs >= pauseMs;
  }

  /** Notes that it is started now. */
  started(key: string, nowMs: number): void {
    const before = this.#starts.get(key);
    const isGood = before === undefined || nowMs - before.atMs >= goodMs * 2 ** Math.max(0, before.failures - 3);
    this.#starts.set(key, { atMs: nowMs, failures: isGood ? 0 : Math.min(before.failures + 1, 20) });
  }

  /** Forgets all but these. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#starts.keys()) if (!keys.has(key)) this.#starts.delete(key);
  }
}
