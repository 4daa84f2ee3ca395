/**
 * A daemon for a test, barge's own as it is installed or the stock one, with root, state and sockets in a directory of its
 * own, and `ctr` to ask it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { barge, execute, type ExecuteOptions, type Finished, succeed } from "../command.ts";
import { patient } from "../patience.ts";

/** Whose daemon. */
export type DaemonKind = "barge" | "stock";

/** Options of {@link startDaemon}. */
export interface DaemonOptions {
  /** Default: barge's. */
  readonly kind?: DaemonKind;
  /** Added to the configuration; its version is 2, which both read. */
  readonly config?: string;
  /** Keys for the configuration's top, such as `oom_score = 5`. */
  readonly top?: string;
  /** Further words of the command line. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Words that start the daemon, in the place of the kind's own; `--config FILE` follows. */
  readonly command?: readonly string[];
  /** Where root, state and sockets lie; stays when the daemon ends. Default: a new one that goes with the daemon. */
  readonly directory?: string;
}

/** How long a daemon may take to start or to end. */
const patienceMs = 20_000;

/** A daemon under way. */
export class TestDaemon implements AsyncDisposable {
  /** What it has written to its log until now. */
  log = "";
  readonly #child: Deno.ChildProcess;
  readonly #ended: Promise<Deno.CommandStatus>;
  readonly #reading: Promise<void>;
  #changed = Promise.withResolvers<void>();
  #hasEnded = false;

  constructor(readonly directory: string, command: readonly string[], readonly options: DaemonOptions) {
    const [program, ...args] = command;
    this.#child = new Deno.Command(program!, {
      args,
      env: { NO_COLOR: "1", ...options.env },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#reading = this.#read();
    this.#ended = this.#child.status.then(async (status) => {
      await this.#reading;
      this.#hasEnded = true;
      this.#changed.resolve();
      return status;
    });
  }

  /** The gRPC socket. */
  get address(): string {
    return `${this.directory}/c.sock`;
  }

  /** What is kept. */
  get root(): string {
    return `${this.directory}/root`;
  }

  /** What lasts as long as the machine runs. */
  get state(): string {
    return `${this.directory}/state`;
  }

  /** Its process. */
  get pid(): number {
    return this.#child.pid;
  }

  async #read(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.log += text;
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }

  /** Waits until the log has the text. Throws with the log where the daemon ends or 20 s pass without it. */
  async says(text: string, after = 0): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the daemon did not say "${text}": ${this.log}`)), patient(patienceMs));
    });
    try {
      while (!this.log.includes(text, after)) {
        assert(!this.#hasEnded, `the daemon has ended before it said "${text}": ${this.log}`);
        await Promise.race([this.#changed.promise, late]);
      }
    } finally {
      clearTimeout(timer);
      late.catch(() => {});
    }
  }

  /** Runs stock ctr against it; gives how that ended. */
  async ctr(...args: readonly string[]): Promise<Finished> {
    return await this.ctrWith({}, ...args);
  }

  /** As {@link ctr}, with input, variables or a deadline. */
  async ctrWith(options: ExecuteOptions, ...args: readonly string[]): Promise<Finished> {
    return await execute(["ctr", "--address", this.address, ...args], options);
  }

  /** Runs stock ctr, which must succeed; gives what it wrote. */
  async ask(...args: readonly string[]): Promise<string> {
    return await succeed(["ctr", "--address", this.address, ...args]);
  }

  /** Sends a signal. */
  signal(signal: Deno.Signal): void {
    if (this.#hasEnded) return;
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended by itself, and the end of its log is still to be read.
    }
  }

  /** Waits for the end. Throws with the log where it does not come within 20 s. */
  async ended(): Promise<Deno.CommandStatus> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the daemon did not end: ${this.log}`)), patient(patienceMs));
    });
    try {
      return await Promise.race([this.#ended, late]);
    } finally {
      clearTimeout(timer);
      late.catch(() => {});
    }
  }

  /** Ends it, and waits for the end. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    this.signal(signal);
    return await this.ended();
  }

  /** Ends it by the signal where it still runs, and starts another one in the same place. */
  async restart(signal: Deno.Signal = "SIGTERM"): Promise<TestDaemon> {
    await this.stop(signal);
    return await startDaemon({ ...this.options, directory: this.directory });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.#ended;
    if (this.options.directory === undefined) await removeAll(this.directory);
  }
}

/** Removes a daemon's directory with what is mounted in it. */
export async function removeAll(directory: string): Promise<void> {
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(`${directory}/`));
  for (const path of mounts.reverse()) await execute(["umount", "-l", path]);
  await Deno.remove(directory, { recursive: true });
}

function configuration(directory: string, { kind = "barge", config = "", top = "" }: DaemonOptions): string {
  // CRI needs a network and more; stock has it on by default.
  const disabled = kind === "stock" ? `disabled_plugins = ["io.containerd.grpc.v1.cri"]\n` : "";
  return `version = 2\nroot = "${directory}/root"\nstate = "${directory}/state"\n${disabled}${top}\n` +
    `[grpc]\naddress = "${directory}/c.sock"\n` +
    `[plugins."io.containerd.internal.v1.opt"]\npath = "${directory}/opt"\n${config}`;
}

/** Starts a daemon without waiting for anything: for those that are to fail. */
export async function spawnDaemon(options: DaemonOptions = {}): Promise<TestDaemon> {
  const directory = options.directory ?? await Deno.makeTempDir({ prefix: "barge-daemon-" });
  const file = `${directory}/config.toml`;
  await Deno.writeTextFile(file, configuration(directory, options));
  const command = options.command ?? (options.kind === "stock" ? ["containerd"] : [...barge, "daemon"]);
  return new TestDaemon(directory, [...command, "--config", file, ...options.args ?? []], options);
}

/** Starts a daemon and waits until it serves. */
export async function startDaemon(options: DaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await spawnDaemon(options);
  try {
    await daemon.says("containerd successfully booted in");
    return daemon;
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
}
