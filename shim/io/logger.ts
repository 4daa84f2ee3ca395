/**
 * Logging programs (`binary://`): processes of the host that read what containers print.
 *
 * The program gets the outputs as descriptors 3 and 4, and as 5 a pipe on which it says that it is ready, by a byte or
 * by closing it. Its environment is CONTAINER_ID and CONTAINER_NAMESPACE and nothing else.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { hostArch } from "../../ffi/arch.ts";
import { flags } from "../../ffi/constants.ts";
import { type Descriptor, executableStub, makePipe, openFile, readOnce } from "../../ffi/descriptor.ts";
import { errnoText, isErrno } from "../../ffi/errno.ts";
import { ended, reap, signalPidfd } from "../../ffi/process.ts";
import { addHygiene } from "../../ffi/program/hygiene.ts";
import { textArray } from "../../ffi/program/program.ts";
import { type Child, ChildProgram, spawn } from "../../ffi/program/spawn.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { within } from "../../ffi/timer.ts";
import type { LoggerPlan } from "./stdio_plan.ts";
import { readable } from "./readable.ts";

/** What a logger is started with. */
export interface LoggerOptions {
  readonly plan: LoggerPlan;
  readonly containerId: string;
  readonly namespace: string;
  /** Read ends; they stay the caller's. */
  readonly stdout: Descriptor;
  readonly stderr: Descriptor;
}

/** How long a logger may take to say that it is ready. */
const readyMs = 30_000;
/** How long an asked logger may take to end, as containerd has it. */
const termMs = 12_000;

const SIGPIPE = 13;

/** Loggers that were not reaped yet. */
const running = new Set<number>();

/** Whether the process is a logger of ours, which is reaped here and by nobody else. */
export function isLogger(pid: number): boolean {
  return running.has(pid);
}

/** A logging program that runs. */
export class Logger {
  /** Resolves when it has ended and was reaped. */
  readonly ended: Promise<void>;
  #over = false;

  /**
   * Takes a running logger over, also one that another process has started.
   * @param pid undefined where it is not this process's child
   * @param release gives the pidfd back
   */
  constructor(
    readonly reactor: Reactor,
    readonly pidfd: number,
    pid: number | undefined,
    release: () => void | Promise<void>,
  ) {
    if (pid !== undefined) running.add(pid);
    this.ended = this.#reapAtEnd(pid).then(release);
  }

  async #reapAtEnd(pid: number | undefined): Promise<void> {
    await ended(this.reactor, this.pidfd);
    try {
      if (pid !== undefined) reap(this.pidfd);
    } catch (error) {
      if (!isErrno(error, "ECHILD")) throw error; // Somebody else was quicker; it has ended all the same.
    }
    if (pid !== undefined) running.delete(pid);
    this.#over = true;
  }

  /** Whether it has ended and was reaped: its pidfd is closed, or will be at once. */
  get isOver(): boolean {
    return this.#over;
  }

  /** Asks it to end, and kills it after 12 s; resolves when it has ended. */
  async stop(): Promise<void> {
    this.#signal(flags("SIGTERM"));
    if (await within(this.reactor, this.ended, termMs)) return;
    this.#signal(flags("SIGKILL"));
    await this.ended;
  }

  /** Kills it; resolves when it has ended. */
  async kill(): Promise<void> {
    this.#signal(flags("SIGKILL"));
    await this.ended;
  }

  #signal(signal: number): void {
    if (this.#over) return;
    try {
      signalPidfd(this.pidfd, signal);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error; // It has ended; the reactor has not said so yet.
    }
  }
}

/** Descriptors of the child while it begins; 6 and above are closed when it executes the program. */
const numbers = { stub: 3, spare: 4, other: 5, report: 6, stdout: 7, stderr: 8, ready: 9 };

function loggerProgram({ plan, containerId, namespace }: LoggerOptions): ChildProgram {
  const program = new ChildProgram([]);
  const descriptors = [
    { from: "stdin", to: 0 },
    { from: "null1", to: 1 },
    { from: "null2", to: 2 },
    ...Object.entries(numbers).map(([from, to]) => ({ from, to })),
  ];
  addHygiene(program, { arch: hostArch, descriptors, stub: numbers.stub, ignoredSignals: [SIGPIPE] });
  const does = "give the logger its descriptors";
  for (const [from, to] of [[numbers.stdout, 3], [numbers.stderr, 4], [numbers.ready, 5]] as const) {
    program.add({ call: "dup3", args: [from, to, 0], does });
  }
  program.add({ call: "setsid", args: [], does: "leave the shim's session" });
  const environment = [`CONTAINER_ID=${containerId}`, `CONTAINER_NAMESPACE=${namespace}`];
  program.add({
    call: "execve",
    args: [plan.path, textArray([plan.path, ...plan.args]), textArray(environment)],
    does: `exec ${JSON.stringify(plan.path)}`,
  });
  return program;
}

/**
 * Starts the program and waits until it is ready, at most 30 s. Throws `Unknown` with containerd's wording where it
 * cannot be executed or ends without being ready, `DeadlineExceeded` where it says nothing, and the signal's reason.
 */
export async function startLogger(reactor: Reactor, options: LoggerOptions, signal?: AbortSignal): Promise<Logger> {
  signal?.throwIfAborted();
  const { path, saysReady } = options.plan;
  const report = makePipe();
  const ready = makePipe();
  using none = openFile("/dev/null", flags("O_RDWR"));
  // One synchronous stretch: a child that another start makes must not inherit these ends.
  let logger: Logger, child: Child;
  const launched = Promise.withResolvers<void>();
  try {
    const given = { ...options, report: report.write, ready: ready.write };
    const nothing = BigInt(none.number);
    child = spawn(
      loggerProgram(options),
      new Map([
        ...["stdin", "null1", "null2", "spare", "other"].map((name): [string, bigint] => [name, nothing]),
        ...(["report", "ready", "stdout", "stderr"] as const).map((name): [string, bigint] => [
          name,
          BigInt(given[name].number),
        ]),
        ["stub", BigInt(executableStub())],
      ]),
    );
    // The child's memory is looked at below, also when it has ended by then.
    logger = new Logger(reactor, child.pidfd, child.pid, () => launched.promise.then(() => child.close()));
  } catch (error) {
    report.read.close();
    ready.read.close();
    throw error;
  } finally {
    report.write.close();
    ready.write.close();
  }
  try {
    // Ends when the program is executed, or when a step before that has failed.
    await readable(reactor, report.read.number, readyMs, signal);
    const failure = child.failure();
    launched.resolve();
    if (failure !== undefined) {
      const why = failure.result < 0 ? errnoText(-failure.result) : failure.message;
      throw new Failure("Unknown", `failed to start binary process: fork/exec ${path}: ${why}`, { cause: failure });
    }
    if (!await readable(reactor, ready.read.number, readyMs, signal)) {
      const text = `the logging binary ${JSON.stringify(path)} did not say that it is ready within ${readyMs / 1000} s`;
      throw new Failure("DeadlineExceeded", text);
    }
    if (readOnce(ready.read.number, new Uint8Array(1)) === 0 && saysReady) {
      throw new Failure("Unknown", "failed to read from logging binary: EOF");
    }
    return logger;
  } catch (error) {
    launched.resolve();
    await logger.kill();
    throw error;
  } finally {
    report.read.close();
    ready.read.close();
  }
}
