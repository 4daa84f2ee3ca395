/**
 * The standard streams of one process in a container: what it is started with, and how its bytes reach containerd's
 * clients.
 *
 * The life of a set: {@link openStandardStreams} opens everything that can fail and gives the ends for the launch;
 * {@link StandardStreams.begin} after the launch; {@link StandardStreams.takeInput} when it is to run; then any number of
 * {@link StandardStreams.closeStdin} and {@link StandardStreams.resize}; {@link StandardStreams.drained} once the process
 * has ended; at last, and at any time before when something fails, {@link StandardStreams.close}.
 *
 * The container gets anonymous pipes (or its own terminal) and never a FIFO, a file or a terminal of the host: each
 * could be reopened, resized, or used to reach the host's mounts.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { changeOwner, Descriptor, makePipe, openFile, setNonBlocking } from "../../ffi/descriptor.ts";
import { setTerminalSize } from "../../ffi/pty.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { receiveDescriptor, socketPair } from "../../ffi/socket.ts";
import { readyNow } from "../../ffi/splice.ts";
import { call } from "../../ffi/syscall.ts";
import { after } from "../../ffi/timer.ts";
import { Flow } from "./flow.ts";
import { checkInput, type Input, openInput } from "./input.ts";
import { Logger, startLogger } from "./logger.ts";
import { readable } from "./readable.ts";
import { type LoggerPlan, type OutputPlan, planStdio, type StdioPlan } from "./stdio_plan.ts";
import type { ChildStreams, ContainerEnds, HeldName, StandardStreamsOptions } from "./stream_ends.ts";
import { nullTarget, openTarget, pipeTarget, type Target, terminalTarget } from "./target.ts";

/** How long a launched container may take to send its terminal; the launch has returned by then. */
const consoleMs = 10_000;

/** How long a client may take to open its FIFOs, from the first time that somebody needs them. containerd: 30 s. */
const readersMsDefault = 5_000;

const closedText = "the process's streams were closed";

const outputs = ["stdout", "stderr"] as const;
const containerEnds = ["stdin", ...outputs, "master", "logger"] as const;

/** A set of streams, see the module's comment for its life. */
export class StandardStreams {
  readonly #flows: Flow[] = [];
  readonly #outputs: Flow[] = [];
  /** Ends that the launched process has copies of, and others that are needed no longer after {@link begin}. */
  readonly #launch: Descriptor[] = [];
  readonly #ends: ContainerEnds;
  readonly #plan: StdioPlan;
  readonly #terminal: boolean;
  #child: ChildStreams | undefined;
  #console: Descriptor | undefined;
  /** Whether a successor goes on with what another shim has begun. */
  readonly #resumes: boolean;
  #input: Input | undefined;
  #stdinClosed = false;
  readonly #targets: Target[] = [];
  #readers: Promise<void> | undefined;
  #shown: Target | undefined;
  #logger: Logger | undefined;
  #afterLogger: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  private constructor(
    readonly reactor: Reactor,
    readonly options: StandardStreamsOptions,
    ends: ContainerEnds | undefined,
  ) {
    this.#plan = planStdio(options);
    this.#terminal = options.terminal;
    this.#resumes = ends !== undefined;
    this.#ends = { ...ends };
  }

  /** See {@link openStandardStreams} and {@link resumeStandardStreams}. */
  static async open(reactor: Reactor, options: StandardStreamsOptions, ends?: ContainerEnds): Promise<StandardStreams> {
    const streams = new StandardStreams(reactor, options, ends);
    try {
      await streams.#open();
      return streams;
    } catch (error) {
      await streams.close();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const { stdin } = this.#plan;
    if (stdin !== undefined) checkInput(stdin);
    if (!this.#resumes) this.#makeChildEnds();
    if (this.#plan.logger !== undefined) await this.#haveLogger(this.#plan.logger);
    if (this.#terminal) {
      this.#shown ??= this.#plan.stdout === undefined ? nullTarget() : await this.#openTarget(this.#plan.stdout);
      return;
    }
    if (this.#logger !== undefined) return;
    for (const name of outputs) {
      const from = this.#ends[name], plan = this.#plan[name];
      if (from !== undefined && plan !== undefined) {
        this.#addOutput(name, from, "pipe", await this.#openTarget(plan));
      }
    }
  }

  async #openTarget(plan: OutputPlan): Promise<Target> {
    const target = await openTarget(this.reactor, plan, !this.#resumes);
    this.#targets.push(target);
    return target;
  }

  /**
   * Waits until clients have opened the FIFOs of the outputs, at most 5 s. What the process prints is delivered from then
   * on. To be awaited before the process runs: a client gives up FIFOs that it could not open before it heard of the end.
   */
  async readersCame(): Promise<void> {
    await this.#awaitReaders();
  }

  /** Undefined where nobody is to be waited for. */
  #awaitReaders(): Promise<void> | undefined {
    if (this.#readers === undefined) {
      const { readersMs = readersMsDefault } = this.options;
      const awaited = this.#targets.map((target) => target.whenRead?.(readersMs)).filter((reader) =>
        reader !== undefined
      );
      if (awaited.length === 0) return undefined;
      this.#readers = Promise.all(awaited).then(() => {});
      // A process that is never started has nobody who waits here.
      this.#readers.catch(() => {});
    }
    return this.#readers;
  }

  #makeChildEnds(): void {
    const none = openFile("/dev/null", flags("O_RDWR"));
    this.#launch.push(none);
    const child = { stdin: none.number, stdout: none.number, stderr: none.number };
    if (this.#terminal) {
      const [ours, theirs] = socketPair();
      this.#console = ours;
      this.#launch.push(theirs);
      this.#child = { ...child, console: theirs.number };
      return;
    }
    if (this.#plan.stdin !== undefined) {
      const { read, write } = this.#pipe();
      this.#launch.push(read);
      this.#ends.stdin = write;
      child.stdin = read.number;
    }
    for (const name of outputs) {
      if (this.#plan[name] === undefined && this.#plan.logger === undefined) continue;
      const { read, write } = this.#pipe();
      this.#launch.push(write);
      setNonBlocking(read.number);
      this.#ends[name] = read;
      child[name] = write.number;
    }
    this.#child = child;
  }

  /** Both ends of a pipe are one file: it is the container's user's, who may open it again as /dev/stdout. */
  #pipe(): { read: Descriptor; write: Descriptor } {
    const pipe = makePipe();
    const { uid, gid } = this.options;
    try {
      if (uid !== 0 || gid !== 0) changeOwner(pipe.read.number, uid, gid);
      return pipe;
    } catch (error) {
      pipe.read.close();
      pipe.write.close();
      throw error;
    }
  }

  async #haveLogger(plan: LoggerPlan): Promise<void> {
    const running = this.#ends.logger;
    if (running === undefined) this.#logger = await this.#startLogger(plan);
    else this.#logger = new Logger(this.reactor, running.number, undefined, () => {});
    // Its number is this object's own, whoever has started it.
    if (!this.#logger.isOver) this.#ends.logger ??= duplicate(this.#logger.pidfd);
    this.#afterLogger = this.#logger.ended.then(() => this.#loggerEnded());
  }

  async #startLogger(plan: LoggerPlan): Promise<Logger> {
    const { containerId, namespace, signal } = this.options;
    // With a terminal the logger reads pipes of ours: one that is written here, and one that ends at once.
    const made = this.#terminal ? outputs.map(() => makePipe()) : [];
    try {
      const stdout = made[0]?.read ?? this.#ends.stdout, stderr = made[1]?.read ?? this.#ends.stderr;
      if (stdout === undefined || stderr === undefined) throw new Error("a logger needs both outputs");
      // The read ends of a container's pipes are non-blocking here; the logger shares that and would see EAGAIN.
      for (const { number } of [stdout, stderr]) setBlocking(number);
      const logger = await startLogger(this.reactor, { plan, containerId, namespace, stdout, stderr }, signal);
      if (made[0] !== undefined) this.#shown = pipeTarget(made[0].write);
      return logger;
    } catch (error) {
      made[0]?.write.close();
      throw error;
    } finally {
      made[0]?.read.close();
      made[1]?.read.close();
      made[1]?.write.close();
    }
  }

  /** The container does not notice: its pipes have a reader still, who throws away what comes. */
  #loggerEnded(): void {
    this.#ends.logger?.close();
    delete this.#ends.logger;
    if (this.#closed !== undefined) return;
    for (const name of outputs) {
      const from = this.#ends[name];
      if (from === undefined) continue;
      if ((readyNow(from.number, flags("EPOLLIN")) & flags("EPOLLHUP")) === 0) {
        this.#warn(`${name}: the logging binary has ended: what the container still prints is lost`);
      }
      setNonBlocking(from.number);
      this.#addOutput(name, from, "pipe", nullTarget()).begin();
    }
  }

  #addOutput(name: string, from: Descriptor, kind: "pipe" | "terminal", to: Target): Flow {
    return this.#add(this.#outputs, { name, from, kind, to, discards: true });
  }

  #add(list: Flow[], options: Omit<ConstructorParameters<typeof Flow>[1], "warn">): Flow {
    const flow = new Flow(this.reactor, { ...options, warn: (text) => this.#warn(text) });
    flow.ended.then(() => this.#forget(flow));
    list.push(flow);
    if (list !== this.#flows) this.#flows.push(flow);
    return flow;
  }

  /** The flow's descriptors are closed; their numbers may soon be others'. */
  #forget({ options: { from, name } }: Flow): void {
    if (name === "stdin") delete this.#ends.stdin;
    for (const key of [...outputs, "master" as const]) if (this.#ends[key] === from) delete this.#ends[key];
    this.options.onLess?.();
  }

  #warn(text: string): void {
    this.options.warn?.(text);
  }

  /** What the process is to be launched with. Valid until {@link begin}. */
  get child(): ChildStreams {
    if (this.#child === undefined) throw new Error("these streams' process was launched already");
    return this.#child;
  }

  /**
   * The ends whose owner must not vanish: while somebody holds duplicates of them (SCM_RIGHTS), the end of this process
   * is neither SIGPIPE nor a hang-up to the container. They stay this object's. After {@link begin}.
   */
  get ends(): Readonly<ContainerEnds> {
    return this.#ends;
  }

  /**
   * {@link ends} by name, and with them what keeps clients from seeing an end where this process vanishes: FIFOs. Each
   * duplicate has to be closed when the descriptor has gone from here, or the container or its client misses its end.
   */
  get held(): Map<HeldName, Descriptor> {
    const held = new Map<HeldName, Descriptor>();
    const add = (name: HeldName, end: Descriptor | undefined): void => {
      if (end?.isOpen === true) held.set(name, end);
    };
    if (this.#closed !== undefined) return held;
    for (const name of containerEnds) add(name, this.#ends[name]);
    if (this.#input?.held !== undefined) add("stdinFifo", this.#input.from);
    for (const { options: { name, from, to } } of this.#outputs) {
      if (from.isOpen) add(name === "stderr" ? "stderrFifo" : "stdoutFifo", to.fifo);
    }
    return held;
  }

  /**
   * To be called when the process was launched: gives up its ends and begins to move what it prints. With a terminal it waits for
   * the master to come over the console socket, at most 10 s (`DeadlineExceeded`; `Aborted` where the socket was closed
   * instead); who has it already, such as from a runtime's own socket, hands it over. Everything else is done before it
   * first waits. Throws `Canceled` once the streams are closed.
   */
  async begin(master?: Descriptor): Promise<void> {
    if (this.#closed !== undefined) throw new Failure("Canceled", closedText);
    this.#child = undefined;
    for (const end of this.#launch.splice(0)) end.close();
    if (!this.#terminal) {
      return this.#beginOutputs();
    }
    const screen = this.#ends.master ??= master ?? await this.#receiveMaster();
    this.#console?.close();
    setNonBlocking(screen.number);
    // Readiness is registered by descriptor, and a terminal's two directions are watched apart.
    this.#addOutput("stdout", screen, "terminal", this.#shown ?? nullTarget());
    this.#shown = undefined;
    this.#beginOutputs();
  }

  #beginOutputs(): void {
    const begin = (): void => {
      for (const flow of this.#outputs) flow.begin();
    };
    const readers = this.#awaitReaders();
    if (readers === undefined) begin();
    else readers.then(begin, (error) => this.#warn(`the outputs are lost: ${messageOf(error)}`));
  }

  /**
   * Opens the client's input and begins to move it; after {@link begin}, and as late as can be. A client that can write
   * before it has heard of the process may have written everything, and have found nothing whose input it could close. A
   * second call does nothing. Tells whether it was opened now. Throws `Unknown` with containerd's wording.
   */
  takeInput(): boolean {
    const { stdin } = this.#plan, { master, stdin: pipe } = this.#ends;
    if (stdin === undefined || this.#input !== undefined || this.#closed !== undefined) return false;
    const end = master === undefined ? pipe : duplicate(master.number);
    if (end === undefined) return false; // A successor may find that the process has closed it.
    const to = master === undefined ? pipeTarget(end) : terminalTarget(end);
    try {
      this.#input = openInput(this.reactor, stdin);
    } catch (error) {
      if (master !== undefined) to.close();
      throw error;
    }
    const { from, kind, held } = this.#input;
    if (this.#stdinClosed) held?.close();
    this.#add(this.#flows, { name: "stdin", from, kind, to, discards: false }).begin();
    return true;
  }

  async #receiveMaster(): Promise<Descriptor> {
    if (this.#console === undefined) throw new Error("these streams have no console socket");
    using console = this.#console;
    this.#console = undefined;
    const signals = [this.#closing.signal, this.options.signal].filter((signal) => signal !== undefined);
    const came = await readable(this.reactor, console.number, consoleMs, AbortSignal.any(signals));
    const master = came ? receiveDescriptor(console.number) : undefined;
    if (master !== undefined) return master;
    throw new Failure(came ? "Aborted" : "DeadlineExceeded", "the container's process did not send its terminal");
  }

  /**
   * Closes this process's own writer of the stdin FIFO (CloseIO). What clients have written is delivered first; then,
   * when the last client has left as well, the container sees the end of its input, or Ctrl-D on its terminal. Also
   * before {@link begin}; a second call does nothing.
   */
  closeStdin(): void {
    this.#stdinClosed = true;
    this.#input?.held?.close();
  }

  /** Tells the terminal its size, 16 bits each way; without a terminal it does nothing, as containerd's shim does. */
  resize(columns: number, rows: number): void {
    const { master } = this.#ends;
    if (master !== undefined && this.#closed === undefined) setTerminalSize(master.number, { columns, rows });
  }

  /**
   * To be called when the process has ended. Resolves with true when the last writer has gone and everything was given
   * to the FIFOs and files, and a logger has ended; a terminal counts as left by its writers when it is empty. After the
   * limit (10 s in containerd) it moves what is there, ends the streams all the same, so that clients see the end, and
   * gives false. Throws the signal's reason when it is aborted, and leaves the streams as they are.
   */
  async drained(limitMs: number, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    for (const flow of this.#outputs) {
      if (this.#terminal) flow.endWhenEmpty();
      flow.beginIfOver();
    }
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const abort = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const timer = after(this.reactor, limitMs, () => resolve(false));
    this.#everything().then(() => resolve(true), reject);
    try {
      const inTime = await promise;
      if (!inTime) { for (const flow of this.#outputs) flow.cut(); }
      return inTime;
    } finally {
      timer.close();
      signal?.removeEventListener("abort", abort);
    }
  }

  async #everything(): Promise<void> {
    // A logger's end adds flows, for what it left.
    await this.#afterLogger;
    await Promise.all(this.#outputs.map((flow) => flow.ended));
  }

  /**
   * Gives everything back at once, and asks a logger that still runs to end: SIGTERM, and SIGKILL after 12 s. Resolves
   * when there is no logger any more. A second call gives the same promise.
   */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new Failure("Canceled", closedText));
    for (const flow of this.#flows) flow.close();
    for (const end of [...this.#launch, this.#console, this.#input?.from, this.#input?.held]) end?.close();
    this.#shown?.close();
    // Those of a flow that has a thread at work are closed with it.
    const flowing = new Set(this.#flows.map((flow) => flow.options.from));
    const { stdin, stdout, stderr, master } = this.#ends;
    for (const end of [stdin, stdout, stderr, master]) if (end !== undefined && !flowing.has(end)) end.close();
    this.options.onLess?.();
    // A logger's pidfd is closed at its end.
    if (this.#logger === undefined) this.#ends.logger?.close();
    else await this.#logger.stop();
  }
}

function duplicate(fd: number): Descriptor {
  return new Descriptor(call("fcntl", fd, flags("F_DUPFD_CLOEXEC"), 0));
}

/** A logger reads its descriptors as any program does; nobody reads them here while it lives. */
function setBlocking(fd: number): void {
  call("fcntl", fd, flags("F_SETFL"), call("fcntl", fd, flags("F_GETFL")) & ~flags("O_NONBLOCK"));
}

/**
 * Opens the streams of a process that is to be launched. FIFOs must exist; a client need not have opened them. Throws
 * `Unknown` with containerd's wording for a scheme, path or logger that cannot be used; nothing stays open then.
 */
export function openStandardStreams(reactor: Reactor, options: StandardStreamsOptions): Promise<StandardStreams> {
  return StandardStreams.open(reactor, options);
}

/**
 * Opens the streams of a process that another shim had launched, from the ends that it held: what the container has
 * written meanwhile is in them. A logger that still runs reads on, and is only watched. The descriptors are taken over.
 * Throws as {@link openStandardStreams} does.
 */
export function resumeStandardStreams(
  reactor: Reactor,
  options: StandardStreamsOptions,
  ends: ContainerEnds,
): Promise<StandardStreams> {
  // A logger that runs shares its pipes' flags, and waits when it reads.
  const read = ends.logger === undefined ? [ends.stdout, ends.stderr, ends.master] : [];
  for (const end of read) if (end !== undefined) setNonBlocking(end.number);

  return StandardStreams.open(reactor, options, ends);
}
