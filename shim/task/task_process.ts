/**
 * One process of a container, from its request to its deletion: init, or an exec.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { StateResponse } from "../../api/gen/runtime/task/v2/shim.ts";
import { Status } from "../../api/gen/types/task/task.ts";
import { wireTime, zeroTime } from "../../api/timestamp.ts";
import { exitCode } from "../../ffi/process.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { StandardStreams } from "../io/standard_streams.ts";
import type { StdioFields } from "../io/stdio_plan.ts";
import type { LiveProcess } from "./engine.ts";
import type { Exit } from "./exits.ts";

/** created → (running ↔ paused) → stopped; a process that was never started may be stopped or deleted as well. */
export type ProcessStatus = "created" | "running" | "paused" | "stopped";

/** How long output may come after a process's end: somebody else may have the pipe and never end. containerd's limits. */
const drainMsMax = { init: 10_000, exec: 2_000 };

/** See the module. */
export class TaskProcess {
  pid = 0;
  status: ProcessStatus = "created";
  exit: Exit | undefined;
  streams: StandardStreams | undefined;
  /** While it runs, or has ended and was not reaped. */
  pidfd: number | undefined;
  /** Whether its input was closed for good (CloseIO). */
  stdinClosed = false;
  /** Set while a start is under way: an exit is told of after it. */
  starting: Promise<void> | undefined;
  #drained: Promise<unknown> = Promise.resolve();
  readonly #exited = Promise.withResolvers<Exit>();

  /** @param execId empty for init */
  constructor(readonly containerId: string, readonly execId: string, readonly stdio: StdioFields) {}

  /** What events and records call it. */
  get id(): string {
    return this.execId === "" ? this.containerId : this.execId;
  }

  /** Resolves with the exit. */
  get exited(): Promise<Exit> {
    return this.#exited.promise;
  }

  /** Notes the process that was made, and calls `onExit` once when it has ended, after its start was told of. */
  follow(live: LiveProcess, onExit: (exit: Exit) => void): void {
    this.pid = live.pid;
    this.pidfd = live.pidfd;
    const finish = async (): Promise<void> => {
      const status = await live.ended;
      this.pidfd = undefined;
      const exit = { status: exitCode(status), at: wallTimeMs() };
      // Before anybody is told: clients wait for the end of the streams, and then for the exit.
      this.drain();
      await this.starting?.catch(() => {});
      this.end(exit);
      onExit(exit);
    };
    void finish();
  }

  /** Ends what was never started, or what has ended. */
  end(exit: Exit): void {
    this.status = "stopped";
    this.exit = exit;
    this.#exited.resolve(exit);
  }

  /** Notes its streams; an input that was closed while they were opened is closed now. */
  use(streams: StandardStreams): void {
    this.streams = streams;
    if (this.stdinClosed) streams.closeStdin();
  }

  /** Closes the input for good: what clients have written is delivered first. */
  closeStdin(): void {
    this.stdinClosed = true;
    this.streams?.closeStdin();
  }

  /** Begins to wait for what is still to be delivered after the end. */
  drain(): void {
    const { streams } = this;
    if (streams === undefined) return;
    this.#drained = streams.drained(drainMsMax[this.execId === "" ? "init" : "exec"]).catch(() => {}).then(() =>
      streams.close()
    );
  }

  /** Waits until everything that was printed is delivered, at most 10 s after the end (an exec: 2 s), and gives the streams back. */
  async release(): Promise<void> {
    await this.#drained;
    await this.streams?.close();
  }

  /** What `State` answers. `paused` says whether the container is. */
  state(bundle: string, paused: boolean): StateResponse {
    const { stdin, stdout, stderr, terminal } = this.stdio;
    const statuses = {
      created: Status.CREATED,
      running: paused ? Status.PAUSED : Status.RUNNING,
      paused: Status.PAUSED,
      stopped: Status.STOPPED,
    };
    return {
      id: this.containerId,
      bundle,
      pid: this.pid,
      status: statuses[this.status],
      stdin,
      stdout,
      stderr,
      terminal,
      exitStatus: this.exit?.status ?? 0,
      exitedAt: this.exit === undefined ? zeroTime : wireTime(this.exit.at),
      execId: this.execId,
    };
  }

  /** Throws in containerd's words where the process is in another status than these. */
  must(action: string, noun: "process" | "container", ...allowed: readonly ProcessStatus[]): void {
    if (allowed.includes(this.status)) return;
    throw new Failure("Unknown", `cannot ${action} a ${this.status} ${noun}`);
  }
}
