/**
 * One container of the shim: init, its execs, and what is told of them.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import {
  TaskDelete,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskOOM,
  TaskPaused,
  TaskResumed,
  TaskStart,
} from "../../api/gen/events/task.ts";
import type { Process } from "../../api/oci/runtime_spec.ts";
import { wireTime } from "../../api/timestamp.ts";
import { isErrno } from "../../ffi/errno.ts";
import { deletedFile } from "../../ffi/launch.ts";
import { signalPidfd } from "../../ffi/process.ts";
import { after, within } from "../../ffi/timer.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import { openStandardStreams, type StandardStreams } from "../io/standard_streams.ts";
import type { ChildStreams, StandardStreamsOptions } from "../io/stream_ends.ts";
import type { StdioFields } from "../io/stdio_plan.ts";
import type { AdoptedStatus, LiveProcess } from "./engine.ts";
import { type Exit, recordExit } from "./exits.ts";
import { type OutOfMemoryWatch, watchOutOfMemory } from "./out_of_memory.ts";
import { cgroupsOf, type ContainerCgroups } from "./container_cgroups.ts";
import { unmountAll } from "./root_mounts.ts";
import type { ContainerOptions, Exec, Surroundings } from "./container_options.ts";
import { TaskProcess } from "./task_process.ts";

const SIGKILL = 9;

/**
 * How long after the creation init's input is opened at the latest. Docker and containerd's clients open it on threads of
 * their own and start the container at once, whereupon it is opened; what their users have piped into them may be written
 * and over before they have learned of the task otherwise, and its end would never be told.
 */
const inputMs = 100;

/** How long init's exit waits for those of the execs, which end with it. */
const execsMsMax = 5_000;

/** See the module. */
export class Container {
  readonly init: TaskProcess;
  readonly #execs = new Map<string, Exec>();
  #paused = false;
  #cgroups: ContainerCgroups | undefined;
  #oom: OutOfMemoryWatch | undefined;
  /** Whether clients know of it: not, where it could not be made. */
  #isKnown = true;
  /** Settled when init's exit was told of. */
  #endTold: Promise<void> | undefined;
  #deletion: Promise<void> | undefined;

  constructor(readonly around: Surroundings, readonly options: ContainerOptions) {
    this.init = new TaskProcess(options.id, "", options.stdio);
  }

  /** Makes init, unless that is for the start to restore. On failure nothing is left. */
  async create(): Promise<void> {
    const { engine, process, restoredFrom } = this.options;
    if (restoredFrom !== undefined) return;
    await this.#make(process, (streams) => engine.create(streams));
  }

  async #make(process: Process | undefined, make: (streams: ChildStreams) => Promise<LiveProcess>): Promise<void> {
    const streams = await this.#openStreams(this.init, process);
    try {
      if (this.options.restoredFrom !== undefined) await streams.readersCame();
      const live = await make(streams.child);
      this.init.use(streams);
      this.#cgroups = cgroupsOf(live.pid);
      this.#watchMemory();
      this.#follow(this.init, live);
      await streams.begin(live.master);
      this.#takeInputLater(streams);
      this.noteChange();
    } catch (error) {
      if (this.init.pid !== 0) await this.#undoCreate();
      await streams.close();
      throw error;
    }
  }

  /** For clients that open it before the start, which takes it as well. */
  #takeInputLater(streams: StandardStreams): void {
    if (this.init.stdio.stdin === "") return;
    after(this.around.reactor, inputMs, () => {
      try {
        this.#takeInput(streams);
      } catch {
        // The start fails for the same reason, and tells it.
      }
    });
  }

  /** A client may write into the FIFO from now on, and whatever becomes of this shim, somebody must hold its other end. */
  #takeInput(streams: StandardStreams | undefined): void {
    if (streams?.takeInput() === true) this.around.keeper?.more(this);
  }

  /** Ends an init of which nobody will hear. */
  async #undoCreate(): Promise<void> {
    this.#isKnown = false;
    await this.#endCreated();
    this.#oom?.close();
    await this.options.engine.delete();
  }

  #openStreams(process: TaskProcess, spec: Process | undefined): ReturnType<typeof openStandardStreams> {
    return openStandardStreams(this.around.reactor, this.streamsOptions(process, spec));
  }

  /** What the streams of a process are opened with. */
  streamsOptions(process: TaskProcess, spec: Process | undefined): StandardStreamsOptions {
    const { id, namespace, ownerOf } = this.options;
    return {
      ...process.stdio,
      ...ownerOf(spec),
      containerId: id,
      namespace,
      warn: (text) => this.around.log.warn(`${process.id}: ${text}`),
      onLess: () => this.around.keeper?.less(this),
    };
  }

  /** To be called when a successor would have to know something else than before. */
  noteChange(): void {
    this.around.keeper?.changed(this);
  }

  #follow(process: TaskProcess, live: LiveProcess): void {
    process.follow(live, (exit) => {
      if (process === this.init) this.#initEnded(exit, live.failure());
      else {
        this.#record(process, exit);
        this.#tellExit(process, exit);
      }
      this.noteChange();
    });
  }

  /** Adds an exec that another shim was told of; no event tells of it. */
  adoptExec(exec: Exec): void {
    this.#execs.set(exec.process.execId, exec);
  }

  /** Takes over a process that another shim has made, with its streams. Execs come before init. */
  adoptLive(process: TaskProcess, live: LiveProcess): void {
    if (process === this.init) {
      this.#cgroups = cgroupsOf(live.pid);
      this.#watchMemory();
    }
    this.#follow(process, live);
  }

  /** As {@link adoptLive}, for one whose exit another shim has recorded. `isTold` says whether it was told of as well. */
  adoptEnded(process: TaskProcess, exit: Exit, isTold: boolean): void {
    process.end(exit);
    process.drain();
    if (process === this.init) this.#endAdded();
    if (isTold) return;
    if (process === this.init) this.#endTold = this.#tellInitEnded(exit);
    else this.#tellExit(process, exit);
  }

  /** Notes what the engine has found. */
  adoptStatus({ started, paused }: AdoptedStatus): void {
    if (started) this.init.status = "running";
    this.#paused = paused;
  }

  #watchMemory(): void {
    const { reactor, events, log } = this.around;
    try {
      this.#oom = watchOutOfMemory(reactor, this.#cgroups, () => {
        events.add("/tasks/oom", "TaskOOM", TaskOOM, { containerId: this.options.id });
      });
    } catch (error) {
      log.warn(`${this.options.id}: cannot watch for a lack of memory: ${messageOf(error)}`);
    }
  }

  #initEnded(exit: Exit, failure: string | undefined): void {
    const { log } = this.around;
    if (failure !== undefined) log.error(`${this.options.id}: ${failure}`);
    if (!this.#isKnown) return;
    this.#record(this.init, exit);
    this.#endAdded();
    this.#endTold = this.#tellInitEnded(exit);
  }

  /** Execs that were never started cannot be any more: who waits for one waits for nothing. */
  #endAdded(): void {
    for (const { process } of this.#execs.values()) {
      if (process.pid === 0 && process.starting === undefined) process.end({ status: 255, at: wallTimeMs() });
    }
  }

  /** Init's exit is the container's last: what still runs is killed, and told of before. */
  async #tellInitEnded(exit: Exit): Promise<void> {
    const { engine, sharesPidNamespace, id } = this.options;
    if (sharesPidNamespace) {
      try {
        await engine.kill(SIGKILL, true);
      } catch (error) {
        this.around.log.warn(`${id}: cannot kill what init has left: ${messageOf(error)}`);
      }
    }
    const others = [...this.#execs.values()].filter(({ process }) => process.status === "running");
    if (others.length > 0) {
      await within(this.around.reactor, Promise.all(others.map(({ process }) => process.exited)), execsMsMax);
    }
    this.#tellExit(this.init, exit);
  }

  #record(process: TaskProcess, exit: Exit): void {
    try {
      recordExit(this.options.bundle, process.id, process.pid, exit);
    } catch (error) {
      this.around.log.warn(`cannot record the exit of ${process.id}: ${messageOf(error)}`);
    }
  }

  #tellExit({ id, pid }: TaskProcess, { status, at }: Exit): void {
    const message = { containerId: this.options.id, id, pid, exitStatus: status, exitedAt: wireTime(at) };
    this.around.events.add("/tasks/exit", "TaskExit", TaskExit, message);
  }

  /** The process: init without an exec's id. Throws `NotFound`. */
  process(execId: string): TaskProcess {
    if (execId === "") return this.init;
    return this.#exec(execId).process;
  }

  #exec(execId: string): Exec {
    const found = this.#execs.get(execId);
    if (found === undefined) throw new Failure("NotFound", `process does not exist ${execId}`);
    return found;
  }

  /** Execs that were added and not deleted, by their ids. */
  get execs(): ReadonlyMap<string, Exec> {
    return this.#execs;
  }

  /** Init and the execs, by exec id; init's is empty. */
  processes(): [execId: string, process: TaskProcess][] {
    const execs = [...this.#execs].map(([execId, { process }]): [string, TaskProcess] => [execId, process]);
    return [["", this.init], ...execs];
  }

  /** Whether all of it stands still. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Where its cgroups are; undefined where that is not known. */
  get cgroups(): ContainerCgroups | undefined {
    return this.#cgroups;
  }

  /** Starts init, or an exec that was added. */
  async start(execId: string): Promise<number> {
    const process = this.process(execId);
    if (process !== this.init && process.pid === 0 && this.init.status === "stopped") throw this.#initNotRunning();
    process.must("start", "process", "created");
    if (process.starting !== undefined) throw new Failure("Unknown", "cannot start a running process");
    process.starting = execId === "" ? this.#startInit() : this.#startExec(this.#exec(execId));
    try {
      await process.starting;
    } finally {
      process.starting = undefined;
      this.noteChange();
    }
    return process.pid;
  }

  async #startInit(): Promise<void> {
    const { id, engine, process, restoredFrom } = this.options;
    // What it prints in its first moment, which may be its last, has somebody who reads it.
    await this.init.streams?.readersCame();
    this.#takeInput(this.init.streams);
    if (restoredFrom === undefined) await engine.start();
    else {
      await this.#make(process, (streams) => engine.restore(restoredFrom, streams));
      this.#takeInput(this.init.streams);
    }
    this.init.status = "running";
    this.around.events.add("/tasks/start", "TaskStart", TaskStart, { containerId: id, pid: this.init.pid });
  }

  #initNotRunning(): Failure {
    return new Failure("FailedPrecondition", `container ${this.options.id} init process is not running`);
  }

  async #startExec({ process, spec }: Exec): Promise<void> {
    const { id, engine } = this.options;
    const streams = await this.#openStreams(process, spec);
    try {
      await streams.readersCame();
      const live = await engine.exec(process.execId, spec, streams.child);
      process.use(streams);
      process.status = "running";
      this.#follow(process, live);
      await streams.begin(live.master);
      this.#takeInput(streams);
    } catch (error) {
      await streams.close();
      if (process.pid === 0) process.end({ status: 255, at: wallTimeMs() });
      // It runs without streams, which nobody has asked for. Its exit is told of.
      else if (process.pidfd !== undefined) signalProcess(process, SIGKILL);
      throw error;
    }
    const message = { containerId: id, execId: process.execId, pid: process.pid };
    this.around.events.add("/tasks/exec-started", "TaskExecStarted", TaskExecStarted, message);
  }

  /** Adds a process that `start` makes. Throws `AlreadyExists`. */
  addExec(execId: string, stdio: StdioFields, spec: Process): void {
    if (execId === "" || this.#execs.has(execId)) throw new Failure("AlreadyExists", `id ${execId}`);
    if (this.#paused) throw new Failure("Unknown", "cannot exec in a paused state");
    if (this.init.status === "stopped") throw new Failure("Unknown", "cannot exec in a stopped state");
    const { id } = this.options;
    const process = new TaskProcess(id, execId, stdio);
    this.#execs.set(execId, { process, spec: { ...spec, terminal: stdio.terminal } });
    this.noteChange();
    this.around.events.add("/tasks/exec-added", "TaskExecAdded", TaskExecAdded, { containerId: id, execId });
  }

  /** Ids of execs by the process ids that they have. */
  execsByPid(): Map<number, string> {
    return new Map([...this.#execs].map(([execId, { process }]) => [process.pid, execId]));
  }

  /** Sends a signal. Throws `NotFound` where the process has ended, `FailedPrecondition` before an exec has begun. */
  async kill(execId: string, signal: number, all: boolean): Promise<void> {
    const process = this.process(execId);
    if (process.status === "stopped") throw new Failure("NotFound", "process already finished");
    if (execId === "") return await this.options.engine.kill(signal, all);
    if (process.pid === 0) throw new Failure("FailedPrecondition", "process not created");
    signalProcess(process, signal);
  }

  /** Stops all processes where they are. */
  async pause(): Promise<void> {
    this.#mustRun("pause", "created", "paused", "stopped");
    await this.options.engine.pause();
    this.#paused = true;
    this.around.events.add("/tasks/paused", "TaskPaused", TaskPaused, { containerId: this.options.id });
  }

  /** Lets them run on. */
  async resume(): Promise<void> {
    this.#mustRun("resume", "created", "running", "stopped");
    await this.options.engine.resume();
    this.#paused = false;
    this.around.events.add("/tasks/resumed", "TaskResumed", TaskResumed, { containerId: this.options.id });
  }

  #mustRun(action: string, ...refused: readonly string[]): void {
    const status = this.init.status === "running" && this.#paused ? "paused" : this.init.status;
    if (!refused.includes(status)) return;
    const text = status === "created"
      ? `cannot ${action} task in created state`
      : `cannot ${action} a ${status} ${status === "running" ? "process" : "container"}`;
    throw new Failure("Unknown", text);
  }

  /** Changes limits; `resources` is the JSON of a `LinuxResources`. */
  async update(resources: string): Promise<void> {
    if (this.init.status === "stopped") throw new Failure("Unknown", "cannot update a stopped container");
    await this.options.engine.update(resources);
  }

  /** Deletes an exec that does not run. */
  async deleteExec(execId: string): Promise<TaskProcess> {
    const { process } = this.#exec(execId);
    process.must("delete", "process", "created", "stopped");
    await process.release();
    this.#execs.delete(execId);
    this.noteChange();
    return process;
  }

  /** Deletes the container, whose init does not run. Who asks again meanwhile waits for the same deletion. */
  delete(): Promise<void> {
    return this.#deletion ??= this.#delete().catch((error) => {
      this.#deletion = undefined;
      throw error;
    });
  }

  async #delete(): Promise<void> {
    const { id, engine, mounted } = this.options;
    this.init.must("delete", this.#paused ? "container" : "process", "created", "stopped");
    if (this.init.status === "created") await this.#endCreated();
    await this.#endTold;
    await this.init.release();
    for (const { process } of this.#execs.values()) await process.release();
    this.#oom?.close();
    await engine.delete();
    if (mounted !== undefined) await unmountAll(mounted);
    this.around.keeper?.gone(this);
    const { pid, exit } = this.init;
    const [exitStatus, at] = [exit?.status ?? 255, exit?.at ?? wallTimeMs()];
    const message = { containerId: id, pid, exitStatus, exitedAt: wireTime(at), id: "" };
    this.around.events.add("/tasks/delete", "TaskDelete", TaskDelete, message);
  }

  /** Notes in the bundle that nothing is left, with the answer to who asks for a clean-up nevertheless. */
  noteDeleted(answer: Uint8Array): void {
    try {
      Deno.writeFileSync(`${this.options.bundle}/${deletedFile}`, answer, { mode: 0o600 });
    } catch (error) {
      // The clean-up looks for itself then.
      this.around.log.warn(`${this.options.id}: cannot note the deletion: ${messageOf(error)}`);
    }
  }

  async #endCreated(): Promise<void> {
    // One that was to be restored has no process before its start.
    if (this.init.pid === 0) return;
    try {
      await this.options.engine.kill(SIGKILL, false);
    } catch (error) {
      // It has ended by itself meanwhile.
      if (!(error instanceof Failure && error.code === "NotFound")) throw error;
    }
    await this.init.exited;
  }
}

/** By pidfd: where another shim has made the process, it may be reaped at any moment and its number be another one's. */
function signalProcess({ pidfd }: TaskProcess, signal: number): void {
  try {
    if (pidfd === undefined) throw new Failure("NotFound", "process already finished");
    signalPidfd(pidfd, signal);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
    throw new Failure("NotFound", "process already finished", { cause: error });
  }
}
