/**
 * One run of criu: `criu swrk`, which is asked over a socket, and tells over it how far it has got.
 *
 * Its command line does not serve: the terminal of a container is handed over in a message, and the processes that it
 * restores become this process's children only by this way (`rst_sibling`).
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { hostArch } from "../../../ffi/arch.ts";
import { flags } from "../../../ffi/constants.ts";
import { Descriptor, executableStub, makePipe, readOnce, writeOnce } from "../../../ffi/descriptor.ts";
import { errnoText, isErrno } from "../../../ffi/errno.ts";
import { readLaunch } from "../../../ffi/launch.ts";
import { type Packet, packetPair, receivePacket } from "../../../ffi/packet_socket.ts";
import { exitCode, type ExitStatus, signalPidfd, waitForChild } from "../../../ffi/process.ts";
import { addHygiene } from "../../../ffi/program/hygiene.ts";
import { flag, type Program, type Slot, textArray } from "../../../ffi/program/program.ts";
import { type Child, ChildProgram, spawn } from "../../../ffi/program/spawn.ts";
import type { Reactor } from "../../../ffi/reactor.ts";
import { call } from "../../../ffi/syscall.ts";
import { after, within } from "../../../ffi/timer.ts";
import { findProgram } from "../../find_program.ts";
import { ignoredSignals } from "../gather_facts.ts";
import type { Streams } from "../launch.ts";
import { type Request, request, type Response, response } from "./messages.ts";
import { decode, encode } from "./wire.ts";

/** How criu is started. */
export interface CriuStart {
  /** The program, by its path or looked up in PATH. */
  readonly program: string;
  /** Its standard streams, which restored processes may inherit; /dev/null is what it gets without. */
  readonly streams: Pick<Streams, "stdin" | "stdout" | "stderr">;
  /** Descriptors that it has from {@link firstExtra} on. */
  readonly extra?: readonly Descriptor[];
  /** Steps in a mount namespace of its own, before it is executed. */
  readonly mounts?: (program: Program) => void;
  /** Directories that are opened after those steps, see {@link CriuSession.directories}. */
  readonly directories?: readonly string[];
  /** Whether this process starts children in no other way any more, see `spawn`. */
  readonly alone: boolean;
}

/** What criu says before it answers: the name of the place that it has reached. */
export interface Notice {
  readonly script: string;
  /** The first restored process, where there is one. */
  readonly pid: number;
  /** The terminal's master, at `orphan-pts-master`. */
  readonly descriptor: Descriptor | undefined;
}

/** Options of {@link CriuSession.perform}. */
export interface PerformOptions {
  readonly notice?: (notice: Notice) => Promise<void>;
  readonly endsWell?: boolean;
}

/** Number of the socket in criu. */
const socketNumber = 3;

/** Number of the first descriptor that criu gets besides its streams and the socket. */
export const firstExtra = 4;

/** As large as runc takes them. */
const messageBytesMax = 40_960;

/** A dump may wait for a page server's client; but not for ever. */
const answerMsMax = 3_600_000;

/** An end that does not come by itself. */
const endMsMax = 10_000;

/** Life: {@link CriuSession.start} → {@link CriuSession.perform}, after which it has ended. */
export class CriuSession {
  private constructor(
    readonly reactor: Reactor,
    readonly child: Child,
    readonly socket: Descriptor,
    /**
     * The directories as they are in criu's own mounts: it opens descriptors of this process, and could mount nothing in
     * what belongs to other mounts. Open until the end.
     */
    readonly directories: readonly Descriptor[],
  ) {}

  /** Starts criu, which then waits. Throws `NotFound` in runc's words where there is no such program. */
  static start(reactor: Reactor, options: CriuStart): CriuSession {
    const path = findProgram(options.program);
    const { program, names, slots } = planCriu(path, options);
    const [ours, theirs] = packetPair();
    const report = makePipe();
    try {
      const { stdin, stdout, stderr } = options.streams;
      const numbers = [stdin, stdout, stderr, theirs.number, ...(options.extra ?? []).map(({ number }) => number)];
      numbers.push(report.write.number, executableStub());
      const given = new Map(names.map((name, index): [string, bigint] => [name, BigInt(numbers[index]!)]));
      const child = spawn(program, given, { alone: options.alone });
      report.write.close();
      readOnce(report.read.number, new Uint8Array(1));
      const failure = child.failure();
      if (failure === undefined) {
        const numbers = slots.map((slot) => Number(child.resultIn(slot)));
        const directories = numbers.map((number) => new Descriptor(call("pidfd_getfd", child.pidfd, number, 0)));
        return new CriuSession(reactor, child, ours, directories);
      }
      void waitForChild(reactor, child.pidfd).finally(() => child.close());
      const why = failure.result < 0 ? errnoText(-failure.result) : failure.message;
      throw new Failure("Aborted", `${failure.step.does}: ${why}`, { cause: failure });
    } catch (error) {
      ours.close();
      throw error;
    } finally {
      for (const end of [theirs, report.read, report.write]) end.close();
    }
  }

  /** criu's own process. */
  get pid(): number {
    return this.child.pid;
  }

  /**
   * Asks what `prepare` gives, waits for the answer, and for criu's end. What criu tells on the way goes to `notice`; it
   * waits until that has been done. With `endsWell` its exit code counts. Throws `Aborted` where it fails or ends without
   * an answer, and what `prepare` and `notice` throw.
   */
  async perform(
    prepare: () => Promise<Request> | Request,
    { notice = async () => {}, endsWell = true }: PerformOptions = {},
  ): Promise<Response> {
    let answer: Response;
    try {
      answer = await this.#ask(await prepare(), notice);
    } catch (error) {
      await this.#end();
      throw error;
    }
    const code = exitCode(await this.#end());
    if (endsWell && code !== 0) throw new Failure("Aborted", `criu failed: exit status ${code}`);
    return answer;
  }

  async #ask(asked: Request, notice: (notice: Notice) => Promise<void>): Promise<Response> {
    writeOnce(this.socket.number, encode(request, asked));
    for (;;) {
      const packet = await this.#receive();
      if (packet === undefined) throw new Failure("Aborted", "criu failed: it has ended without an answer");
      using descriptor = packet.descriptor;
      const answer = decode(response, packet.bytes);
      if (answer.success !== true) throw new CriuFailure(answer);
      if (answer.notify === undefined) return answer;
      await notice({ script: answer.notify.script ?? "", pid: answer.notify.pid ?? 0, descriptor });
      writeOnce(this.socket.number, encode(request, { type: answer.type ?? 0, notifySuccess: true }));
    }
  }

  /** Waits for the next message; what is late ends criu. */
  #receive(): Promise<Packet | undefined> {
    const { number } = this.socket;
    return new Promise((resolve, reject) => {
      const timer = after(this.reactor, answerMsMax, () => {
        watch.close();
        reject(new Failure("DeadlineExceeded", `criu has not answered within ${answerMsMax / 60_000} minutes`));
      });
      const watch = this.reactor.watch(number, flags("EPOLLIN"), () => {
        watch.close();
        timer.close();
        try {
          resolve(receivePacket(number, messageBytesMax));
        } catch (error) {
          if (isErrno(error, "ECONNRESET")) resolve(undefined);
          else reject(error);
        }
      });
    });
  }

  /** Ends the conversation, and waits until criu has ended too. */
  async #end(): Promise<ExitStatus> {
    this.socket.close();
    for (const directory of this.directories) directory.close();
    const ended = waitForChild(this.reactor, this.child.pidfd);
    if (!await within(this.reactor, ended, endMsMax)) signalPidfd(this.child.pidfd, flags("SIGKILL"));
    const status = await ended;
    this.child.close();
    return status;
  }
}

/** criu's names of requests, for messages. */
const typeNames: Readonly<Record<number, string>> = {
  ...{ 1: "DUMP", 2: "RESTORE", 4: "PRE_DUMP", 6: "NOTIFY", 9: "FEATURE_CHECK", 10: "VERSION" },
};

/** criu does not do what it was asked for. */
export class CriuFailure extends Failure {
  /** What it says itself, where it says anything; its log says more. */
  readonly said: string;

  constructor({ type = 0, errno = 0, message = "" }: Response) {
    super("Aborted", `criu failed: type ${typeNames[type] ?? type} errno ${errno}`);
    this.said = message.trim();
  }
}

/**
 * criu's process, the names of the numbers that it is given, in the order of its descriptors, and where the numbers of its
 * directories stand.
 */
function planCriu(
  path: string,
  { extra = [], mounts, directories = [] }: CriuStart,
): { program: ChildProgram; names: string[]; slots: Slot[] } {
  const program = new ChildProgram(mounts === undefined ? [] : ["CLONE_NEWNS"]);
  const kept = ["stdin", "stdout", "stderr", "socket", ...extra.map((_, index) => `extra${index}`)];
  const names = [...kept, "report", "stub"];
  addHygiene(program, {
    arch: hostArch,
    descriptors: names.map((from, to) => ({ from, to })),
    kept: kept.length,
    stub: names.indexOf("stub"),
    ignoredSignals: ignoredSignals(),
  });
  const does = `exec: ${JSON.stringify(path)}`;
  mounts?.(program);
  const slots = directories.map((directory, index) =>
    program.result(`directory${index}`, {
      call: "openat",
      args: [flag("AT_FDCWD"), directory, flag("O_RDONLY", "O_DIRECTORY"), 0],
      does: `open "${directory}" for criu`,
    })
  );
  program.add({ call: "chdir", args: ["/"], does });
  const environment = [...readLaunch().environment].map(([name, value]) => `${name}=${value}`);
  const words = [path, "swrk", String(socketNumber)];
  program.add({ call: "execve", args: [path, textArray(words), textArray(environment)], does });
  return { program, names, slots };
}
