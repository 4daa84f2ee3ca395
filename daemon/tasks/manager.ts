/**
 * The tasks of a daemon: starting shims for them, finding them, and cleaning up after shims that died.
 *
 * A task is in the table from the moment in which its shim has made the container until its bundle is removed. What
 * happens to the shim is noticed by its connection. Whoever asks for a task meanwhile waits for the end of what is done
 * with it, and never for a shim that does not answer.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import { TaskExit as TaskExitEvent } from "../../api/gen/events/task.ts";
import type { KillRequest } from "../../api/gen/runtime/task/v3/shim.ts";
import { RuntimeInfo, RuntimeRequest } from "../../api/gen/types/introspection.ts";
import type { Mount } from "../../api/gen/types/mount.ts";
import { activateRootfs } from "./activate.ts";
import { Bundle, removeOrphanedWork } from "./bundle.ts";
import { TaskCleanup } from "./cleanup.ts";
import { Creations } from "./creations.ts";
import type { NewTask, TaskManagerParts } from "./new_task.ts";
import { Deposit } from "./deposit.ts";
import { loadTasks } from "./load.ts";
import { MachineLife } from "./machine_life.ts";
import { optionsForOwn } from "./own_link.ts";
import type { StartedShim } from "./own_shims.ts";
import { prefixed, prefixing } from "./prefixed.ts";
import { ShimGroups } from "./shim_groups.ts";
import type { ShimChannel } from "./shim_channel.ts";
import { ShimChannels } from "./shim_channels.ts";
import { ShimLog } from "./shim_log.ts";
import { lingers } from "./shim_program.ts";
import { SilentShims } from "./silent_shims.ts";
import { Succession } from "./succession.ts";
import { type Deadlines, Task, type TaskExit, taskNotFound, unknownExit } from "./task.ts";
import { exitTopic, tellDelete, tellExit } from "./task_events.ts";

const SIGKILL = 9;
const keyOf = (namespace: string, id: string) => `${namespace}/${id}`;
/** How long clients that waited for a task whose shim died may take to ask how it ended, and to delete it. */
const rememberMs = 10_000;

/** See the module. */
export class TaskManager implements Disposable {
  readonly #parts: TaskManagerParts;
  readonly #channels: ShimChannels;
  readonly #cleanup: TaskCleanup;
  readonly #silent: SilentShims;
  readonly #groups: ShimGroups;
  readonly #deposit: Deposit;
  readonly #succession: Succession;
  readonly #tasks = new Map<string, Task>();
  readonly #remembered = new Map<string, Task>();
  readonly #creations: Creations;
  readonly #closing = new AbortController();
  /** What the daemon does by itself: cleaning up after dead shims. */
  readonly #working = new Set<Promise<unknown>>();

  private constructor(parts: TaskManagerParts) {
    this.#parts = parts;
    this.#creations = new Creations(parts.reactor);
    this.#channels = new ShimChannels(parts.reactor, parts.log);
    this.#silent = new SilentShims({
      log: parts.log,
      tasks: () => [...this.#tasks.values()],
      canAdopt: (task) => parts.deadShim === "adopt" && this.#succession.canAdopt(task.bundle, task.program),
    });
    this.#cleanup = new TaskCleanup(parts, this.#channels, this.#silent);
    this.#groups = new ShimGroups(this.#channels, parts.log);
    this.#deposit = new Deposit({
      reactor: parts.reactor,
      log: parts.log,
      path: `${parts.places.state}/.deposit`,
      isWanted: (namespace, id) => this.find(namespace, id) !== undefined,
    });
    this.#succession = new Succession({
      channels: this.#channels,
      deposit: this.#deposit,
      log: parts.log,
      start: (bundle, program, options, signal) => this.#start(bundle, program, options, signal),
    });
  }

  /** Finds the tasks of the daemon before this one, and cleans up after those whose shims died meanwhile. */
  static async open(
    parts: TaskManagerParts,
    runtimeOf: (namespace: string, id: string) => Promise<string | undefined>,
  ): Promise<TaskManager> {
    const manager = new TaskManager(parts);
    void manager.#listen();
    const life = new MachineLife(parts.places.state);
    await loadTasks(parts, runtimeOf, {
      attach: (bundle, program, endpoint) => manager.#attach(bundle, program, manager.#channels.take(endpoint)),
      forget: (task) => manager.#cleanup.release(task),
      // Of a machine that was started anew there is nothing to take over: a task that stands there dead would keep
      // its container from being started.
      adopt: (task) => life.isNew ? Promise.resolve(false) : manager.#adopt(task),
      clean: (bundle, program) => manager.#cleanup.cleanBundle(bundle, program),
      keep: (task) => manager.#keep(task),
    }, manager.#closing.signal);
    const exists = (namespace: string, id: string) => manager.find(namespace, id) !== undefined;
    await removeOrphanedWork(parts.places, exists, (sentence) => parts.log.warn(sentence));
    life.note(parts.log);
    parts.launcher.keepSpare(() => !manager.#creations.isEmpty);
    return manager;
  }

  /** Learns which exits were told: after a shim's death each is to be told once. */
  async #listen(): Promise<void> {
    try {
      for await (
        const { namespace, event } of this.#parts.events.subscribe([`topic=="${exitTopic}"`], this.#closing.signal)
      ) {
        const { containerId, id } = TaskExitEvent.decode(event?.value ?? new Uint8Array());
        const task = this.#tasks.get(keyOf(namespace, containerId));
        if (task === undefined) continue;
        if (id !== containerId) task.noteExecTold(id);
        if (id !== containerId || task.exitTold) continue;
        task.exitTold = true;
        task.bundle.noteExitTold();
      }
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#parts.log.error("exits are no longer noted", { error });
    }
  }

  /**
   * Answers Introspection.PluginInfo: what a runtime says of itself. `question` is a `RuntimeRequest`. Throws
   * `InvalidArgument` for any other, and what asking the runtime's shim met.
   */
  async pluginInfo(question: Any, signal: AbortSignal): Promise<Any> {
    if (question.typeUrl.split("/").at(-1) !== "containerd.types.RuntimeRequest") {
      throw new Failure("InvalidArgument", `invalid argument type "${question.typeUrl}", want RuntimeRequest`);
    }
    const { runtimePath, options } = RuntimeRequest.decode(question.value);
    const info = await this.#parts.launcher.info(runtimePath, options, signal);
    return { typeUrl: "containerd.types.RuntimeInfo", value: RuntimeInfo.encode(info).finish() };
  }

  /** The task, where there is one. */
  find(namespace: string, id: string): Task | undefined {
    return this.#tasks.get(keyOf(namespace, id));
  }

  /** The task. Throws `NotFound` in containerd's words. */
  get(namespace: string, id: string): Task {
    const task = this.find(namespace, id);
    if (task === undefined) throw taskNotFound(id);
    return task;
  }

  /** A task whose shim was lost a short while ago: it is cleaned up, and its client does not know that yet. */
  remembered(namespace: string, id: string): Task | undefined {
    return this.#remembered.get(keyOf(namespace, id));
  }

  #remember(task: Task): void {
    const key = keyOf(task.namespace, task.id);
    this.#remembered.set(key, task);
    const timer = setTimeout(() => this.#forget(key, task), rememberMs);
    Deno.unrefTimer(timer);
  }

  #forget(key: string, task: Task): void {
    if (this.#remembered.get(key) === task) this.#remembered.delete(key);
  }

  /** All tasks of a namespace, or of all. */
  list(namespace?: string): Task[] {
    const all = [...this.#tasks.values()];
    return namespace === undefined ? all : all.filter((task) => task.namespace === namespace);
  }

  /**
   * Starts a shim and lets it make the container. Throws `AlreadyExists`, and what starting and making met, in containerd's
   * words; nothing is left then.
   */
  async create(wanted: NewTask, signal: AbortSignal): Promise<Task> {
    const { namespace, id } = wanted;
    const key = keyOf(namespace, id);
    if (this.#tasks.has(key)) throw new Failure("AlreadyExists", `task ${id}`);
    return await this.#creations.make(key, id, () => {
      this.#remembered.delete(key);
      return this.#create(wanted, signal);
    });
  }

  /**
   * Waits for a task that is being made, at most 10 s. A client that has written all of the task's input asks for the task
   * to close it, and may do that before it hears of the creation.
   */
  async whenMade(namespace: string, id: string, signal: AbortSignal): Promise<void> {
    await this.#creations.whenMade(keyOf(namespace, id), signal);
  }

  async #create(wanted: NewTask, signal: AbortSignal): Promise<Task> {
    const { places, launcher, log, mounts, reactor } = this.#parts;
    const bundle = new Bundle(places, wanted.namespace, wanted.id);
    const program = prefixing(
      "failed to start shim: failed to resolve runtime path: ",
      () => launcher.programOf(wanted.runtime),
    );
    // What could not be removed when its task ended stands in the way now.
    if (bundle.exists()) await this.#cleanup.cleanBundle(bundle, bundle.shimPath() ?? program);
    prefixing("failed to start shim: ", () => bundle.create(wanted.spec));
    let shimLog: ShimLog | undefined;
    let task: Task | undefined;
    let rootfs: readonly Mount[];
    try {
      rootfs = await activateRootfs(mounts, wanted, signal);
      bundle.writeShimPath(program);
      const { options } = wanted.request;
      // For the shim's creation as for its start: one that finds none there takes the defaults.
      const whole = options !== undefined && options.value.length > 0 ? options : wanted.runtimeOptions;
      const given = optionsForOwn(program, whole);
      shimLog = new ShimLog(reactor, bundle.path, log, { id: bundle.id, namespace: bundle.namespace });
      const { endpoint, pid: shimPid } = await this.#start(bundle, program, given, signal).catch((error) => {
        throw prefixed("failed to start shim: start failed: ", error);
      });
      bundle.writeEndpoint(endpoint);
      task = this.#taskOf(bundle, program, this.#channels.take(endpoint), shimLog);
      if (shimPid !== undefined) task.channel.noteProcess(shimPid);
      const request = { ...wanted.request, options: given };
      const { pid } = await this.#createInShim(task, { ...wanted, request, rootfs }, signal);
      task.pid = pid;
      this.#keep(task);
      return task;
    } catch (error) {
      await this.#cleanup.undo(bundle, program, task, shimLog).catch((failure) => {
        log.error("failed to clean up after a task that could not be made", { error: failure, id: bundle.id });
      });
      throw error;
    }
  }

  /** Finds a shim that has a place, or starts one. */
  async #start(bundle: Bundle, program: string, options: Any | undefined, signal: AbortSignal): Promise<StartedShim> {
    const { launcher, deadShim } = this.#parts;
    const shares = launcher.sharesShims(program);
    const group = { namespace: bundle.namespace, program, options };
    const found = shares ? await this.#groups.reserve(group, bundle.id, signal) : undefined;
    if (found !== undefined) return found;
    const deposit = deadShim === "adopt" && lingers(program) ? this.#deposit.open() : "";
    const started = await launcher.start(program, bundle, options, deposit, signal);
    const { endpoint } = started;
    if (shares) this.#groups.add(group, endpoint);
    if (started.leaves) this.#succession.noteLeaving(endpoint.address);
    return started;
  }

  async #createInShim(task: Task, wanted: NewTask, signal: AbortSignal): Promise<{ pid: number }> {
    const { id, bundle, channel } = task;
    const request = { ...wanted.request, id, bundle: bundle.path, rootfs: [...wanted.rootfs] };
    // Asked on the same connection, and not waited for: who does not answer has to be known by then.
    if (channel.pid === undefined) this.#learnProcess(task);
    try {
      return await task.call("create", request, signal).catch((error) => {
        if (!isFailure(error, "NotImplemented") || !channel.downgrade()) throw error;
        this.#learnProcess(task);
        return task.call("create", request, signal);
      });
    } catch (error) {
      throw prefixed("failed to create shim task: ", error);
    }
  }

  #learnProcess(task: Task): void {
    task.call("connect", { id: task.id }, this.#closing.signal).then(
      ({ shimPid }) => task.channel.noteProcess(shimPid),
      // A shim that cannot say which process it is can only be asked to end.
      () => {},
    );
  }

  #taskOf(bundle: Bundle, program: string, channel: ShimChannel, log: ShimLog): Task {
    const { stateMs: state, statsMs: stats, shutdownMs: shutdown, loadMs: connect } = this.#parts.deadlines;
    const deadlines: Deadlines = { state, stats, shutdown, connect };
    return new Task(bundle, program, channel, log, deadlines);
  }

  #attach(bundle: Bundle, program: string, channel: ShimChannel): Task {
    const { reactor, log } = this.#parts;
    const fields = { id: bundle.id, namespace: bundle.namespace };
    return this.#taskOf(bundle, program, channel, new ShimLog(reactor, bundle.path, log, fields));
  }

  /** From here on the task is there. */
  #keep(task: Task): void {
    this.#tasks.set(keyOf(task.namespace, task.id), task);
    this.#watch(task);
  }

  #watch(task: Task): void {
    if (this.#parts.deadShim === "adopt" && lingers(task.program)) this.#succession.leaveSoon(task.channel);
    const lose = () => this.#lose(task);
    if (task.channel.open) task.channel.losers.add(lose);
    else lose();
  }

  /**
   * Removes a task whose first process has ended, and gives how it ended. Throws what the shim says. One that does not
   * answer is killed where that costs no other container, and its program cleans up after the task.
   */
  async delete(task: Task, signal: AbortSignal): Promise<TaskExit> {
    if (task.ending) throw taskNotFound(task.id);
    await task.settled(signal);
    if (task.exit !== undefined) {
      this.#forget(keyOf(task.namespace, task.id), task);
      return task.exit;
    }
    let exit: TaskExit | Failure;
    try {
      // Another's shim that hangs is found out by a short question, as the end of streams may take its time.
      if (!lingers(task.program)) await this.#ask(task, signal);
      exit = await task.call("delete", { id: task.id, execId: "" }, signal);
    } catch (error) {
      if (task.exit !== undefined) return task.exit;
      if (isFailure(error, "DeadlineExceeded") && !signal.aborted) return await this.#deleteLate(task, signal, error);
      if (!isFailure(error, "NotFound")) throw prefixed("failed to delete task: ", error);
      exit = error;
    }
    task.ending = true;
    await this.#cleanup.shutDown(task);
    this.#cleanup.release(task);
    try {
      await this.#cleanup.removeBundle(task.bundle);
    } finally {
      this.#tasks.delete(keyOf(task.namespace, task.id));
      this.#deposit.release(task.namespace, task.id);
    }
    if (exit instanceof Failure) throw exit;
    return exit;
  }

  async #ask(task: Task, signal: AbortSignal): Promise<void> {
    await task.call("state", { id: task.id, execId: "" }, signal).catch((error) => {
      if (isFailure(error, "DeadlineExceeded")) throw error;
    });
  }

  async #deleteLate(task: Task, signal: AbortSignal, error: Failure): Promise<TaskExit> {
    // One that answers others is not killed for a disk that takes its time.
    const answersOthers = this.#channels.users(task.channel) > 1 && lingers(task.program) && !task.channel.isSilent;
    if (answersOthers) throw error;
    task.unwanted = true;
    if (!this.#silent.end(task.channel)) {
      if (this.#channels.users(task.channel) > 1) throw error;
      // Its process is not known: it is left alone and cleaned up after.
      task.condemned = true;
      this.#lose(task);
    }
    return await task.cleaned(signal);
  }

  /**
   * Sends a signal to a process of the task. Throws what the shim says. A shim that does not answer is killed where
   * another one takes its containers over and sends the signal, or where all of them are to end.
   */
  async kill(task: Task, request: KillRequest, signal: AbortSignal): Promise<void> {
    try {
      await task.call("kill", request, signal);
    } catch (error) {
      if (!isFailure(error, "DeadlineExceeded") || signal.aborted || !task.channel.isSilent) throw error;
      const isLast = request.signal === SIGKILL && request.execId === "";
      if (isLast && !this.#succession.canAdopt(task.bundle, task.program)) task.unwanted = true;
      if (!this.#silent.end(task.channel)) throw error;
      await task.call("kill", request, signal);
    }
  }

  #lose(task: Task): void {
    if (task.ending || task.lost || this.#closing.signal.aborted) return;
    task.lose();
    this.#parts.log.info("shim disconnected", { id: task.id, namespace: task.namespace });
    const work = this.#succeed(task).catch((error) => {
      this.#parts.log.error("failed to clean up after dead shim", { error, id: task.id, namespace: task.namespace });
    });
    this.#working.add(work);
    void work.finally(() => this.#working.delete(work));
  }

  async #succeed(task: Task): Promise<void> {
    if (await this.#adopt(task)) this.#watch(task);
    // What is not cleaned up now is the next daemon's to take over.
    else if (!this.#closing.signal.aborted) await this.#cleanAfter(task);
  }

  /** Makes another shim take the task over; says whether one has. */
  async #adopt(task: Task): Promise<boolean> {
    const { deadShim, log } = this.#parts;
    const { id, namespace, bundle, program, channel } = task;
    if (deadShim !== "adopt" || task.condemned || !this.#succession.canAdopt(bundle, program)) return false;
    try {
      const successor = await this.#succession.adopt(task, this.#closing.signal);
      this.#channels.give(channel, true);
      task.settleAt(successor);
      return true;
    } catch (error) {
      if (!this.#closing.signal.aborted) log.error("no other shim takes a container over", { error, id, namespace });
      return false;
    }
  }

  async #cleanAfter(task: Task): Promise<void> {
    const { namespace, id, bundle } = task;
    const { events } = this.#parts;
    // Its connection may be gone and the shim not: then it must not go on with what is cleaned up now.
    task.channel.kill();
    let exit = unknownExit();
    try {
      exit = await this.#cleanup.runCleaner(bundle, task.program);
      await this.#cleanup.removeBundle(bundle);
    } finally {
      this.#cleanup.release(task);
      this.#tasks.delete(keyOf(namespace, id));
      this.#deposit.release(namespace, id);
      this.#remember(task);
      if (!task.exitTold) tellExit(events, namespace, id, exit);
      tellDelete(events, namespace, id, exit);
      task.end(exit);
    }
  }

  /** Leaves all shims and tasks as they are, for the next daemon. */
  [Symbol.dispose](): void {
    this.#closing.abort(new Failure("Unavailable", "the daemon ends"));
    for (const task of this.#tasks.values()) task.log[Symbol.dispose]();
    this.#deposit[Symbol.dispose]();
    this.#parts.launcher[Symbol.dispose]();
    this.#channels.close();
  }
}
