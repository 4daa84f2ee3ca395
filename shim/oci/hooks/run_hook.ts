/**
 * Runs one hook to its end.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { flags } from "../../../ffi/constants.ts";
import { Descriptor, makePipe, readOnce, setNonBlocking, writeOnce } from "../../../ffi/descriptor.ts";
import { isErrno } from "../../../ffi/errno.ts";
import { type ExitStatus, waitForChild } from "../../../ffi/process.ts";
import type { Reactor, Watch } from "../../../ffi/reactor.ts";
import { call } from "../../../ffi/syscall.ts";
import { within } from "../../../ffi/timer.ts";
import { launch, type Launched } from "../launch.ts";
import type { ExecPlan } from "../plan/plan_exec.ts";

/** How much of each of a hook's two outputs an error message quotes; what comes after it is thrown away. */
const outputBytesMax = 4096;

/** What a hook runs with, besides its plan. */
export interface HookRun {
  /** Text for standard input. */
  input: string;
  /** After so many seconds it is killed, and has failed. Without it, it may take as long as it wants (runtime-spec). */
  timeout?: number | undefined;
  /** A pidfd of the container's init, for plans that join it. */
  init?: Descriptor | undefined;
  /** The container's cgroup of version 2, where the plan clones into it. */
  cgroup?: string | undefined;
}

/** Runs the hook. Throws `Aborted` where it fails and `DeadlineExceeded` after its timeout, in runc's words. */
export async function runHook(reactor: Reactor, { program, joinsPidNamespace }: ExecPlan, run: HookRun): Promise<void> {
  using input = fileOf(run.input);
  using stdout = new Output(reactor);
  using stderr = new Output(reactor);
  const launched = launch({
    program,
    streams: { stdin: input.number, stdout: stdout.end.number, stderr: stderr.end.number },
    dieWithParent: false,
    alone: false,
    cgroup: run.cgroup,
    init: run.init,
    ...(joinsPidNamespace ? { pidNamespace: run.init } : {}),
  });
  try {
    stdout.begin();
    stderr.begin();
    await launched.settled(reactor, false);
    const status = await endOf(reactor, launched, run.timeout);
    if ("code" in status && status.code === 0) return;
    throw new Failure(
      "Aborted",
      `error running hook: ${describe(status)}, stdout: ${stdout.text()}, stderr: ${stderr.text()}`,
    );
  } finally {
    launched.child.close();
  }
}

/** Waits for the end; kills what takes longer than its timeout. */
async function endOf(reactor: Reactor, { child }: Launched, timeout: number | undefined): Promise<ExitStatus> {
  const end = waitForChild(reactor, child.pidfd);
  if (timeout === undefined || await within(reactor, end, timeout * 1000)) return await end;
  call("pidfd_send_signal", child.pidfd, flags("SIGKILL"), 0, 0);
  await end;
  throw new Failure("DeadlineExceeded", `hook ran past specified timeout of ${timeout.toFixed(1)}s`);
}

/** Go's words for the end of a process. */
function describe(status: ExitStatus): string {
  return "code" in status ? `exit status ${status.code}` : `signal: ${signalTexts[status.signal] ?? status.signal}`;
}

const signalTexts: Readonly<Record<number, string>> = {
  6: "aborted",
  9: "killed",
  11: "segmentation fault",
  15: "terminated",
};

/** A file in memory with the text, to be read from its beginning: unlike a pipe it needs nobody to fill it. */
function fileOf(text: string): Descriptor {
  const file = new Descriptor(call("memfd_create", "state", flags("MFD_CLOEXEC")));
  const bytes = new TextEncoder().encode(text);
  for (let offset = 0; offset < bytes.length;) offset += writeOnce(file.number, bytes.subarray(offset));
  call("lseek", file.number, 0, 0);
  return file;
}

/** One output of a hook: its beginning is kept, the rest is read so that the hook does not wait. */
class Output implements Disposable {
  /** The hook's end of the pipe. */
  readonly end: Descriptor;
  readonly #read: Descriptor;
  readonly #buffer = new Uint8Array(4096);
  readonly #kept = new Uint8Array(outputBytesMax);
  #length = 0;
  #watch: Watch | undefined;

  constructor(readonly reactor: Reactor) {
    const { read, write } = makePipe();
    this.#read = read;
    this.end = write;
    setNonBlocking(read.number);
  }

  /** To be called when the hook was launched. */
  begin(): void {
    this.end.close();
    this.#watch = this.reactor.watch(this.#read.number, flags("EPOLLIN"), () => {
      if (this.#take() === "end") this.#unwatch();
    });
  }

  /** Reads once. */
  #take(): "more" | "nothing" | "end" {
    try {
      const count = readOnce(this.#read.number, this.#buffer);
      const kept = this.#buffer.subarray(0, Math.min(count, outputBytesMax - this.#length));
      this.#kept.set(kept, this.#length);
      this.#length += kept.length;
      return count === 0 ? "end" : "more";
    } catch (error) {
      if (isErrno(error, "EAGAIN", "EINTR")) return "nothing";
      throw error;
    }
  }

  #unwatch(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }

  /** What came until now. A child of the hook that keeps the pipe is not waited for. */
  text(): string {
    if (this.#watch !== undefined) { while (this.#length < outputBytesMax && this.#take() === "more"); }
    return new TextDecoder().decode(this.#kept.subarray(0, this.#length));
  }

  [Symbol.dispose](): void {
    this.#unwatch();
    this.#read.close();
    this.end.close();
  }
}
