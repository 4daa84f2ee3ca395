/**
 * Launches a planned process: places its descriptors, clones it, and waits until it is where it was planned to stop.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import {
  Descriptor,
  executableStub,
  makePipe,
  openFile,
  readOnce,
  setNonBlocking,
  waitInPlace,
} from "../../ffi/descriptor.ts";
import { flags } from "../../ffi/constants.ts";
import { exitCode, joinPidNamespace, signalPidfd, waitForChild } from "../../ffi/process.ts";
import { type Child, type ChildProgram, spawn } from "../../ffi/program/spawn.ts";
import type { Reactor } from "../../ffi/reactor.ts";

/** The descriptors of this process that a container's process gets. */
export interface Streams {
  stdin: number;
  stdout: number;
  stderr: number;
  /** A connected unix socket that the terminal's master is sent over. */
  console?: number;
  /** Whether that terminal leaves line ends as they are written: nobody else turns them back. */
  plainLines?: boolean;
}

/** Descriptors of this process that a container's process gets from 3 on. */
export interface Preserved {
  numbers: readonly number[];
  /** How many of them are sockets of its socket activation (sd_listen_fds(3)). */
  listening: number;
}

/** What {@link launch} needs besides the program. */
export interface Launch {
  program: ChildProgram;
  streams: Streams;
  /** The fifo, opened for reading and writing, that `start` writes its byte to; without it the program goes on at once. */
  start?: Descriptor;
  /** Whether the program has a `life` descriptor: the read end of a pipe that this process keeps open for ever. */
  dieWithParent: boolean;
  /** Directory of the cgroup (version 2) that the process is born into; needed where the program says so. */
  cgroup?: string | undefined;
  /** Whether this process starts children in no other way any more, see `spawn`. */
  alone: boolean;
  /** A descriptor of the pid namespace to be cloned into, or a pidfd of a process in it. */
  pidNamespace?: Descriptor | undefined;
  /** A pidfd of the init of the container that is joined. */
  init?: Descriptor | undefined;
  /** The read end of a pipe, for a program that waits for hooks. */
  go?: Descriptor | undefined;
  /** Detached mounts that the program attaches. */
  idMapped?: readonly Descriptor[] | undefined;
  /** The root file system as a detached mount. */
  root?: Descriptor | undefined;
  preserved?: Preserved | undefined;
}

/** A pipe that a new process waits on while this process works for it: its end, should this process be killed, ends it. */
export function makeGo(): { read: Descriptor; write: Descriptor } & Disposable {
  const pipe = makePipe();
  return {
    ...pipe,
    [Symbol.dispose]: () => {
      pipe.read.close();
      pipe.write.close();
    },
  };
}

/** The pipe whose write end is never closed: its end of file tells children that this process has ended. */
let life: { read: Descriptor; write: Descriptor } | undefined;

function lifePipe(): number {
  if (life === undefined) {
    life = makePipe();
    setNonBlocking(life.read.number);
  }
  return life.read.number;
}

/** A start takes 1 to 3 ms; where it takes longer than this, something in it waits. */
const startMs = 50;

/** A process that was launched, and the pipe it reports over. */
export class Launched {
  /** @param alone whether this process has nothing else to do while the container starts */
  constructor(readonly child: Child, readonly report: Descriptor, readonly alone: boolean) {}

  /**
   * Waits until the process reports that it is created (`waits`) or executes the command. Throws {@link ProgramFailure}
   * where a step failed, and `Aborted` where the process was killed before; it has been reaped then. `inPlace` is whether
   * it may first wait with this whole thread, see {@link Launched.reportsSoon}.
   */
  async settled(reactor: Reactor, waits: boolean, inPlace = true): Promise<void> {
    const reported = await this.#wake(reactor, inPlace);
    if (reported && waits) return;
    if (!reported) this.report.close();
    await this.#check(reactor, waits);
  }

  /** Whether it has something to report within the time that a start takes; only where nothing else waits for this process. */
  reportsSoon(): boolean {
    return this.alone && waitInPlace(this.report.number, startMs);
  }

  /** Waits for a byte (true) or the end (false) of the report pipe. */
  async #wake(reactor: Reactor, inPlace: boolean): Promise<boolean> {
    const { number } = this.report;
    if (!inPlace || !this.reportsSoon()) {
      await new Promise<void>((resolve) => {
        const watch = reactor.watch(number, flags("EPOLLIN"), () => {
          watch.close();
          resolve();
        });
      });
    }
    return readOnce(number, new Uint8Array(1)) === 1;
  }

  async #check(reactor: Reactor, waits: boolean): Promise<void> {
    const step = this.child.currentStep();
    const failure = this.child.failure();
    if (failure === undefined && !waits && step?.call === "execve") return;
    const status = await waitForChild(reactor, this.child.pidfd);
    // The step may have failed between the two looks.
    const late = this.child.failure();
    if (late !== undefined) throw late;
    // Its filter may have ended it: that is for the container's program, and knows nothing of what is done otherwise.
    const refused = "signal" in status && status.signal === flags("SIGSYS") ? this.child.refusedExec() : undefined;
    if (refused !== undefined) throw refused;
    const how = "signal" in status ? `was killed by signal ${status.signal}` : `ended with ${exitCode(status)}`;
    throw new Failure("Aborted", `the container's first process ${how} at the step "${step?.does ?? "clone"}"`);
  }

  /** Gives its descriptors and memory back. The process itself goes on. */
  close(): void {
    this.report.close();
    this.child.close();
  }

  /** Kills and reaps a process that is not wanted any more. */
  async kill(reactor: Reactor): Promise<void> {
    try {
      signalPidfd(this.child.pidfd, flags("SIGKILL"));
      await waitForChild(reactor, this.child.pidfd);
    } catch {
      // Reaped already: that is what was wanted.
    }
  }
}

/** Clones the process. One synchronous stretch: no other child of this process can inherit the pipe's write end. */
export function launch(options: Launch): Launched {
  using cgroup = options.cgroup === undefined ? undefined : openFile(options.cgroup, flags("O_PATH", "O_DIRECTORY"));
  const report = makePipe();
  try {
    const given = new Map<string, bigint>([
      ["stdin", BigInt(options.streams.stdin)],
      ["stdout", BigInt(options.streams.stdout)],
      ["stderr", BigInt(options.streams.stderr)],
      ["report", BigInt(report.write.number)],
      ["stub", BigInt(executableStub())],
    ]);
    if (options.start !== undefined) given.set("start", BigInt(options.start.number));
    if (options.dieWithParent) given.set("life", BigInt(lifePipe()));
    if (options.streams.console !== undefined) given.set("console", BigInt(options.streams.console));
    if (options.root !== undefined) given.set("root", BigInt(options.root.number));
    options.idMapped?.forEach((mount, index) => given.set(`idmap${index}`, BigInt(mount.number)));
    options.preserved?.numbers.forEach((number, index) => given.set(`kept${index}`, BigInt(number)));
    if (options.go !== undefined) given.set("go", BigInt(options.go.number));
    if (options.init !== undefined) given.set("init", BigInt(options.init.number));
    if (cgroup !== undefined) given.set("cgroup", BigInt(cgroup.number));
    const child = inPidNamespace(options.pidNamespace, () => spawn(options.program, given, { alone: options.alone }));
    return new Launched(child, report.read, options.alone);
  } catch (error) {
    report.read.close();
    throw error;
  } finally {
    report.write.close();
  }
}

/** Runs `body` while this thread's children are born into another pid namespace. */
function inPidNamespace<T>(other: Descriptor | undefined, body: () => T): T {
  if (other === undefined) return body();
  using own = openFile("/proc/self/ns/pid", flags("O_RDONLY"));
  joinPidNamespace(other.number);
  try {
    return body();
  } finally {
    joinPidNamespace(own.number);
    assertHome();
  }
}

/** A thread that stayed in a container's pid namespace would give it every later child of this process. */
function assertHome(): void {
  const next = Deno.readLinkSync("/proc/thread-self/ns/pid_for_children");
  if (next !== Deno.readLinkSync("/proc/self/ns/pid")) throw new Error("still in the container's pid namespace");
}
