/**
 * Runs programs of the host to their end: other runtimes, and what publishes events. `Deno.Command` cannot be used in a
 * shim, whose memory is left out of its children.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { hostArch } from "../../ffi/arch.ts";
import { flags } from "../../ffi/constants.ts";
import {
  type Descriptor,
  executableStub,
  makePipe,
  openFile,
  readOnce,
  setNonBlocking,
  writeOnce,
} from "../../ffi/descriptor.ts";
import { errnoText, isErrno } from "../../ffi/errno.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { exitCode, reap, signalPidfd } from "../../ffi/process.ts";
import { addHygiene } from "../../ffi/program/hygiene.ts";
import { textArray } from "../../ffi/program/program.ts";
import { type Child, ChildProgram, spawn } from "../../ffi/program/spawn.ts";
import { findProgram } from "../find_program.ts";
import type { ChildStreams } from "../io/stream_ends.ts";
import { programs } from "./children.ts";

/** What is run. */
export interface ProgramOptions {
  /** The program, looked up in PATH, and its arguments. */
  readonly words: readonly string[];
  /** For its standard input, at most what a pipe holds. */
  readonly input?: Uint8Array | undefined;
  /** Its streams instead of pipes of ours: those of a container that it makes. */
  readonly streams?: ChildStreams | undefined;
  readonly directory?: string;
  readonly signal: AbortSignal;
}

/** How it ended. */
export interface ProgramEnd {
  readonly code: number;
  /** What it wrote on both outputs; empty where they were a container's. */
  readonly output: string;
}

const SIGPIPE = 13;
const outputBytesMax = 1 << 20;
const stepMs = 2;

/** How large a request may be that is written before the program runs. */
const inputBytesMax = 65_536;

/**
 * Runs the program; it is killed when the signal is aborted, whose reason is thrown, and when this process ends. Throws
 * `NotFound` where there is no such program.
 */
export async function runProgram(options: ProgramOptions): Promise<ProgramEnd> {
  options.signal.throwIfAborted();
  const program = findProgram(options.words[0] ?? "");
  const output = makePipe();
  const { child, report } = startProgram(program, options, output.write);
  programs.add(child.pid);
  output.write.close();
  try {
    readOnce(report.number, new Uint8Array(1));
    const failure = child.failure();
    if (failure !== undefined) {
      const why = failure.result < 0 ? errnoText(-failure.result) : failure.message;
      throw new Failure("Unknown", `fork/exec ${program}: ${why}`, { cause: failure });
    }
    setNonBlocking(output.read.number);
    return await collect(child, output.read, options.signal);
  } finally {
    programs.delete(child.pid);
    report.close();
    output.read.close();
    child.close();
  }
}

/** Reads until the program has ended; what it has left running may keep the pipe. */
async function collect(child: Child, from: Descriptor, signal: AbortSignal): Promise<ProgramEnd> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const drain = (): void => {
    const buffer = new Uint8Array(65_536);
    try {
      for (let count = readOnce(from.number, buffer); count > 0; count = readOnce(from.number, buffer)) {
        bytes += count;
        if (bytes <= outputBytesMax) chunks.push(buffer.slice(0, count));
      }
    } catch (error) {
      if (!isErrno(error, "EAGAIN", "EINTR")) throw error;
    }
  };
  for (;;) {
    const ended = reap(child.pidfd);
    drain();
    if (ended !== undefined) {
      const decoder = new TextDecoder();
      return { code: exitCode(ended), output: chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("") };
    }
    if (signal.aborted) {
      signalPidfd(child.pidfd, flags("SIGKILL"));
      while (reap(child.pidfd) === undefined) await sleep(stepMs);
      throw signal.reason;
    }
    await sleep(stepMs);
  }
}

function sleep(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}

function startProgram(
  program: string,
  { words, input, streams, directory }: ProgramOptions,
  output: Descriptor,
): { child: Child; report: Descriptor } {
  const child = new ChildProgram([]);
  const names = ["stdin", "stdout", "stderr", "stub", "report"];
  const descriptors = names.map((from, to) => ({ from, to }));
  addHygiene(child, { arch: hostArch, descriptors, stub: names.indexOf("stub"), ignoredSignals: [SIGPIPE] });
  const does = `start ${JSON.stringify(program)}`;
  child.add({ call: "prctl", args: [flags("PR_SET_PDEATHSIG"), flags("SIGKILL"), 0, 0, 0], does });
  child.add({ call: "chdir", args: [directory ?? "/"], does });
  const environment = [...readLaunch().environment].filter(([name]) => !ownVariables.test(name));
  const entries = environment.map(([name, value]) => `${name}=${value}`);
  child.add({ call: "execve", args: [program, textArray([...words]), textArray(entries)], does });
  const report = makePipe();
  const fed = makePipe();
  try {
    using none = openFile("/dev/null", flags("O_RDWR"));
    if (input !== undefined) feed(fed.write, input);
    const stdin = input === undefined ? none : fed.read;
    const numbers = streams ?? { stdin: stdin.number, stdout: output.number, stderr: output.number };
    const given: [string, number][] = [
      ["stdin", numbers.stdin],
      ["stdout", numbers.stdout],
      ["stderr", numbers.stderr],
      ["stub", executableStub()],
      ["report", report.write.number],
    ];
    const numbered = new Map(given.map(([name, number]): [string, bigint] => [name, BigInt(number)]));
    return { child: spawn(child, numbered, { alone: true }), report: report.read };
  } catch (error) {
    report.read.close();
    throw error;
  } finally {
    report.write.close();
    fed.read.close();
    fed.write.close();
  }
}

/** What tells barge's own programs and systemd's services who they are. */
const ownVariables = /^(BARGE_|NOTIFY_SOCKET$|LISTEN_)/;

function feed(to: Descriptor, input: Uint8Array): void {
  if (input.length > inputBytesMax) {
    throw new Failure("ResourceExhausted", `the request has ${input.length} bytes: want at most ${inputBytesMax}`);
  }
  if (input.length > 0) writeOnce(to.number, new Uint8Array(input));
}
