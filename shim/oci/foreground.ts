/**
 * The streams of a container that runs in the foreground: pipes or a terminal, joined to this process's own.
 *
 * A container never gets the host's terminal, FIFOs or files themselves: each could be reopened, resized, or used to
 * reach the host's mounts. It gets anonymous pipes, owned by its user.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import {
  changeOwner,
  Descriptor,
  makePipe,
  openFile,
  readOnce,
  setNonBlocking,
  writeOnce,
} from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { copyPump, runOnThread, splicePump } from "../../ffi/program/thread.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import { receiveDescriptor, socketPair } from "../../ffi/socket.ts";
import { call } from "../../ffi/syscall.ts";
import { pause, within } from "../../ffi/timer.ts";
import type { Streams } from "./launch.ts";

/** How long output may still come after the container's first process has ended: something else holds the pipe. */
const drainMsMax = 10_000;

/** How soon a full output is tried again. */
const retryMs = 2;

/** How a container is joined to this process. */
export interface ForegroundOptions {
  /** Whether standard input is passed on; the container reads /dev/null otherwise. */
  interactive: boolean;
  /** Owner of the pipes. */
  uid: number;
  gid: number;
}

/** The streams of one container. */
export interface Foreground extends Disposable {
  /** How long this thread may wait in place for the container's end; 0 where it has bytes to move itself. */
  readonly idleMs: number;
  /** For `launch`. */
  readonly streams: Streams;
  /** To be called when the container was launched: gives up the container's ends and begins to move bytes. */
  attach(): void;
  /** Resolves when all output has been passed on, at the latest 10 s after it is asked for. */
  drained(): Promise<void>;
}

/** Pipes for a container without a terminal. */
export class PipedForeground implements Foreground {
  /** Bytes are moved by other threads; signals wait no longer than this to be forwarded. */
  readonly idleMs = 20;
  readonly streams: Streams;
  readonly #theirs: Descriptor[] = [];
  readonly #ours: Descriptor[] = [];
  readonly #input: { from: number; to: Descriptor } | undefined;
  readonly #outputs: { from: Descriptor; to: number }[] = [];
  #pumps: Promise<unknown> = Promise.resolve();

  constructor(readonly reactor: Reactor, options: ForegroundOptions) {
    const stdin = options.interactive ? makePipe() : undefined;
    const stdout = makePipe();
    const stderr = makePipe();
    const theirStdin = stdin?.read ?? openFile("/dev/null", flags("O_RDONLY"));
    this.#theirs.push(theirStdin, stdout.write, stderr.write);
    this.#ours.push(stdout.read, stderr.read);
    this.#input = stdin && { from: 0, to: stdin.write };
    this.#outputs.push({ from: stdout.read, to: 1 }, { from: stderr.read, to: 2 });
    if (options.uid !== 0) {
      for (const end of [stdin?.read, stdout.write, stderr.write]) {
        if (end !== undefined) changeOwner(end.number, options.uid, options.gid);
      }
    }
    this.streams = { stdin: theirStdin.number, stdout: stdout.write.number, stderr: stderr.write.number };
  }

  attach(): void {
    for (const end of this.#theirs) end.close();
    this.#pumps = Promise.all(this.#outputs.map(({ from, to }) => moveOutput(this.reactor, from, to)));
    if (this.#input !== undefined) moveInput(this.reactor, this.#input.from, this.#input.to);
  }

  async drained(): Promise<void> {
    await within(this.reactor, this.#pumps, drainMsMax);
  }

  [Symbol.dispose](): void {
    for (const end of [...this.#theirs, ...this.#ours]) end.close();
  }
}

/** Moves a pipe's bytes to a descriptor of ours until the pipe's end. */
async function moveOutput(reactor: Reactor, from: Descriptor, to: number): Promise<void> {
  const pump = isFile(to) ? copyPump(from.number, to) : splicePump(from.number, to);
  const result = await runOnThread(pump);
  // A full non-blocking output answers EAGAIN: it is copied instead.
  if (result < 0) await copy(reactor, from.number, to);
  from.close();
}

/** Whether a descriptor of this process is a file: both outputs of a program may go to the same one. */
function isFile(number: number): boolean {
  try {
    return Deno.statSync(`/proc/self/fd/${number}`).isFile;
  } catch {
    // A closed descriptor is none; the pump says so.
    return false;
  }
}

/** Moves our standard input to the container's; its end is passed on by closing the pipe. */
async function moveInput(reactor: Reactor, from: number, to: Descriptor): Promise<void> {
  const result = await runOnThread(splicePump(from, to.number));
  if (result < 0) await copy(reactor, from, to.number);
  to.close();
}

/** Copies through a buffer, waiting where the output is full. Ends quietly where the reader has left. */
async function copy(reactor: Reactor, from: number, to: number): Promise<void> {
  const buffer = new Uint8Array(65536);
  for (;;) {
    let count: number;
    try {
      count = readOnce(from, buffer);
    } catch (error) {
      if (!isErrno(error, "EAGAIN", "EINTR")) return;
      await pause(reactor, retryMs);
      continue;
    }
    if (count === 0) return;
    for (let offset = 0; offset < count;) {
      try {
        offset += writeOnce(to, buffer.subarray(offset, count));
      } catch (error) {
        if (!isErrno(error, "EAGAIN", "EINTR")) return;
        await pause(reactor, retryMs);
      }
    }
    await Promise.resolve();
  }
}

/** Restores the terminal's modes: kept here so that no way out of the process can forget it. */
let restoreTerminal: (() => void) | undefined;

/** Puts this process's terminal back as it was; does nothing where it was not changed. */
export function leaveRawMode(): void {
  restoreTerminal?.();
  restoreTerminal = undefined;
}

/** struct termios of the kernel: c_iflag, c_oflag, c_cflag, c_lflag, c_line, 19 control characters. */
const termiosWords = 9;
/** OPOST of c_oflag: the terminal changes what is written, such as \n to \r\n. */
const postProcessing = 1;

/**
 * What is typed goes to the container as it is, and what it writes to the screen as well: its own terminal has done the
 * line endings already. Deno's raw mode leaves those on.
 */
function enterRawMode(): void {
  if (!Deno.stdin.isTerminal()) return;
  const before = new Uint32Array(termiosWords);
  call("ioctl", 0, flags("TCGETS"), before);
  restoreTerminal = () => {
    Deno.stdin.setRaw(false);
    call("ioctl", 0, flags("TCSETS"), before);
  };
  Deno.stdin.setRaw(true);
  const raw = new Uint32Array(termiosWords);
  call("ioctl", 0, flags("TCGETS"), raw);
  raw[1] = raw[1]! & ~postProcessing;
  call("ioctl", 0, flags("TCSETS"), raw);
}

/** A terminal of the container's own, shown on this process's. */
export class TerminalForeground implements Foreground {
  readonly idleMs = 0;
  readonly streams: Streams;
  readonly #null: Descriptor;
  readonly #ours: Descriptor;
  readonly #theirs: Descriptor;
  #master: Descriptor | undefined;
  #watch: Watch | undefined;
  #ended: () => void = () => {};
  readonly #end: Promise<void>;
  readonly #resize = () => this.resize();

  /** With `plain`, as by runc, lines end as the program ends them wherever that is not needed on a screen. */
  constructor(readonly reactor: Reactor, readonly interactive: boolean, plain: boolean) {
    this.#null = openFile("/dev/null", flags("O_RDWR"));
    [this.#ours, this.#theirs] = socketPair();
    const { number } = this.#null;
    // A screen in raw mode needs the container's terminal to end its lines; files and other programs want them plain, and
    // a terminal that is left as it is ends them itself.
    const isScreen = interactive && Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
    const console = this.#theirs.number;
    this.streams = { stdin: number, stdout: number, stderr: number, console, plainLines: plain && !isScreen };
    this.#end = new Promise((resolve) => this.#ended = resolve);
  }

  attach(): void {
    this.#theirs.close();
    const master = receiveDescriptor(this.#ours.number);
    this.#ours.close();
    if (master === undefined) throw new Error("the container sent no terminal");
    this.#master = master;
    setNonBlocking(master.number);
    this.resize();
    Deno.addSignalListener("SIGWINCH", this.#resize);
    if (this.interactive) {
      enterRawMode();
      this.#passInput(master.number);
    }
    const buffer = new Uint8Array(65536);
    this.#watch = this.reactor.watch(master.number, flags("EPOLLIN"), () => this.#passOutput(buffer));
  }

  /** Gives the container's terminal the size of ours (winsize: rows, columns). */
  resize(): void {
    if (this.#master === undefined || !Deno.stdout.isTerminal()) return;
    const { rows, columns } = Deno.consoleSize();
    call("ioctl", this.#master.number, flags("TIOCSWINSZ"), new Uint16Array([rows, columns, 0, 0]));
  }

  #passOutput(buffer: Uint8Array<ArrayBuffer>): void {
    try {
      const count = readOnce(this.#master!.number, buffer);
      for (let offset = 0; offset < count;) offset += Deno.stdout.writeSync(buffer.subarray(offset, count));
      if (count > 0) return;
    } catch (error) {
      if (isErrno(error, "EAGAIN", "EINTR")) return;
      // EIO: the last process with the terminal has gone. Anything else: our own output has.
    }
    this.#watch?.close();
    this.#ended();
  }

  async #passInput(master: number): Promise<void> {
    const buffer = new Uint8Array(4096);
    for (;;) {
      const count = await Deno.stdin.read(buffer);
      if (count === null) {
        // End of file by the terminal's own means: what the line discipline understands.
        await writeAll(this.reactor, master, new Uint8Array([4]));
        return;
      }
      if (!await writeAll(this.reactor, master, buffer.slice(0, count))) return;
    }
  }

  async drained(): Promise<void> {
    await within(this.reactor, this.#end, drainMsMax);
  }

  [Symbol.dispose](): void {
    leaveRawMode();
    Deno.removeSignalListener("SIGWINCH", this.#resize);
    this.#watch?.close();
    for (const end of [this.#null, this.#ours, this.#theirs, this.#master]) end?.close();
  }
}

/** Writes to a terminal that may be full for a while; false where it has gone. */
async function writeAll(reactor: Reactor, fd: number, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
  for (let offset = 0; offset < bytes.length;) {
    try {
      offset += writeOnce(fd, bytes.subarray(offset));
    } catch (error) {
      if (!isErrno(error, "EAGAIN", "EINTR")) return false;
      await pause(reactor, retryMs);
    }
  }
  return true;
}
