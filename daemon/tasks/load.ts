/**
 * Finds the tasks that an earlier daemon has left running.
 *
 * @module
 */
import { sleep } from "../../api/abort.ts";
import { isFailure, messageOf } from "../../api/errors.ts";
import { Status } from "../../api/gen/types/task/task.ts";
import type { EventExchange } from "../events/exchange.ts";
import type { Logger } from "../log/logger.ts";
import { type ShimEndpoint, socketOf } from "./bootstrap.ts";
import { Bundle, type BundlePlaces, bundlesIn } from "./bundle.ts";
import type { ConfiguredDeadlines } from "./deadlines.ts";
import type { ShimLauncher } from "./launcher.ts";
import { isGone } from "./shim_channel.ts";
import { servesSocket } from "./shim_process.ts";
import type { Task, TaskExit } from "./task.ts";
import { tellDelete, tellExit } from "./task_events.ts";

/** What loading needs of the daemon. */
export interface LoadParts {
  readonly places: BundlePlaces;
  readonly launcher: ShimLauncher;
  readonly events: EventExchange;
  readonly log: Logger;
  readonly deadlines: ConfiguredDeadlines;
}

/** What loading does with what it finds. */
export interface LoadActions {
  /** Makes a task of a bundle whose shim may be alive. */
  attach(bundle: Bundle, program: string, endpoint: ShimEndpoint): Task;
  /** Makes another shim take it over where that is wanted and possible; says whether one has. */
  adopt(task: Task): Promise<boolean>;
  /** Undoes that. */
  forget(task: Task): void;
  /** Takes it over. */
  keep(task: Task): void;
  /** Cleans up after a dead shim. */
  clean(bundle: Bundle, program: string): Promise<TaskExit>;
}

/** Shims that are asked at the same time: most of the time is spent waiting. */
const atOnce = 16;
/**
 * Events of the time without a daemon are told when somebody listens, but no later than this: clients need a moment to
 * find the new daemon.
 */
const listenerMsMax = 10_000;
const listenerPollMs = 100;
/** A shim tells its exits again after 1 to 5 s. What it did not tell by then it has given up. */
const retellMs = 6_000;

/** Looks at all bundles. `runtimeOf` is of the container's record; for a bundle that does not say which program it had. */
export async function loadTasks(
  parts: LoadParts,
  runtimeOf: (namespace: string, id: string) => Promise<string | undefined>,
  actions: LoadActions,
  signal: AbortSignal,
): Promise<void> {
  const waiting = bundlesIn(parts.places, (sentence) => parts.log.warn(sentence))
    .map(({ namespace, id }) => new Bundle(parts.places, namespace, id));
  const worker = async () => {
    for (let bundle = waiting.pop(); bundle !== undefined; bundle = waiting.pop()) {
      const fields = { id: bundle.id, namespace: bundle.namespace };
      try {
        await loadTask(bundle, parts, runtimeOf, actions, signal);
      } catch (error) {
        // One that cannot be loaded keeps nobody from the others.
        parts.log.error("failed to load task", { error, ...fields });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, waiting.length) }, worker));
}

async function loadTask(
  bundle: Bundle,
  parts: LoadParts,
  runtimeOf: (namespace: string, id: string) => Promise<string | undefined>,
  actions: LoadActions,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, id } = bundle;
  const { launcher, events, log } = parts;
  const program = bundle.shimPath() ?? launcher.programOf(await runtimeOf(namespace, id) ?? "");
  const task = await find(bundle, program, actions, signal, parts);
  if (task === undefined) {
    log.info("cleaning up after a shim that ended without a daemon", { id, namespace });
    const told = bundle.exitTold();
    const exit = await actions.clean(bundle, program);
    void whenHeard(events, signal, () => {
      if (!told) tellExit(events, namespace, id, exit);
      tellDelete(events, namespace, id, exit);
    });
    return;
  }
  actions.keep(task);
}

/** The task where its shim is there and has one. */
async function find(
  bundle: Bundle,
  program: string,
  actions: LoadActions,
  signal: AbortSignal,
  { log, events }: LoadParts,
): Promise<Task | undefined> {
  const fields = { id: bundle.id, namespace: bundle.namespace };
  let endpoint: ShimEndpoint | undefined;
  try {
    endpoint = bundle.endpoint();
  } catch (error) {
    log.warn("bundle does not tell where its shim is", { error, ...fields });
  }
  if (endpoint === undefined) return undefined;
  const task = actions.attach(bundle, program, endpoint);
  task.exitTold = bundle.exitTold();
  try {
    const { shimPid } = await task.call("connect", { id: bundle.id }, signal).catch((error) => {
      if (!isFailure(error, "NotImplemented") || !task.channel.downgrade()) throw error;
      return task.call("connect", { id: bundle.id }, signal);
    });
    task.channel.noteProcess(shimPid);
    const state = await task.call("state", { id: bundle.id, execId: "" }, signal);
    task.pid = state.pid;
    if (state.status === Status.STOPPED) void retell(task, state, events, signal);
    return task;
  } catch (error) {
    // It is there, and its containers are as well: what it does not say now it may say later.
    if (isFailure(error, "DeadlineExceeded")) {
      noteProcess(bundle, task);
      return task;
    }
    // A shim that was to take it over may not have come to it.
    if ((isGone(error) || isFailure(error, "NotFound")) && await actions.adopt(task)) return task;
    if (signal.aborted) throw error;
    if (!isGone(error)) {
      log.info("cleaning leaked shim process", { reason: messageOf(error), ...fields });
      await task.call("shutdown", { id: bundle.id, now: false }, signal).catch(() => {
        // Whether it ends by itself is seen to by whoever gives its connection back.
      });
    }
    actions.forget(task);
    return undefined;
  }
}

/** What the shim does not say is in the bundle; the process may be another one by now. */
function noteProcess(bundle: Bundle, { channel }: Task): void {
  const pid = bundle.shimProcess();
  if (pid !== undefined && servesSocket(pid, socketOf(channel.endpoint.address))) channel.noteProcess(pid);
}

/** Tells the exit of a process that ended without a daemon, unless its shim does. */
async function retell(task: Task, exit: TaskExit, events: EventExchange, signal: AbortSignal): Promise<void> {
  await sleep(retellMs, signal);
  if (signal.aborted || task.exitTold || task.ending || task.lost) return;
  const { pid, exitStatus, exitedAt } = exit;
  // That it was told is noted by whoever listens for all exits.
  tellExit(events, task.namespace, task.id, { pid, exitStatus, exitedAt });
}

async function whenHeard(events: EventExchange, signal: AbortSignal, tell: () => void): Promise<void> {
  const until = performance.now() + listenerMsMax;
  // One listener is the daemon's own.
  while (events.subscribers <= 1 && performance.now() < until && !signal.aborted) await sleep(listenerPollMs, signal);
  if (!signal.aborted) tell();
}
