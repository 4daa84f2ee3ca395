/**
 * A shim that was started before there is a container for it: its program is loaded, and it waits to be told whose shim
 * it is. It ends with the daemon, however that ends, until then.
 *
 * @module
 */
import { untilAborted } from "../../api/abort.ts";
import { Failure, messageOf } from "../../api/errors.ts";
import { buildVersion } from "../../api/version.ts";
import { flags } from "../../ffi/constants.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { parcelPair, receiveParcel, sendParcel } from "../../ffi/parcel.ts";
import { signalPidfd, waitForChild } from "../../ffi/process.ts";
import type { Child } from "../../ffi/program/spawn.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import { parseSpare, type SpareMessage, spareText, type SpareWork } from "../../shim/server/spare_message.ts";
import { beginServer, type ServerCommand } from "../../shim/server/spawn_server.ts";

/** From the start to its first word: Deno starts within 50 ms, on a host that is out of memory or disk later. */
const startMsMax = 30_000;
/** What it has to do to serve takes a millisecond; a spare one that is stopped is not waited for. */
const serveMsMax = 3_000;
const killSignal = 9;

/** One process; a child of the daemon, which reaps it, for as long as both are there. */
export class SpareShim {
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  readonly #child: Child;
  readonly #socket: Descriptor;
  readonly #watch: Watch;
  #answer = Promise.withResolvers<SpareMessage>();
  readonly #ready: Promise<void>;
  #wasReady = false;
  #hasEnded = false;

  /** Starts it. Throws `SyscallError` where there can be no further process. */
  constructor(reactor: Reactor, command: ServerCommand) {
    const [mine, its] = parcelPair();
    using other = its;
    try {
      this.#child = beginServer(command, other.number);
    } catch (error) {
      mine.close();
      throw error;
    }
    this.pid = this.#child.pid;
    this.#socket = mine;
    this.#watch = reactor.watch(mine.number, flags("EPOLLIN"), () => this.#read());
    this.ended = this.#reap(reactor);
    this.#ready = this.#becomeReady();
    // Who starts one ahead does not wait for it.
    this.#ready.catch(() => {});
  }

  async #reap(reactor: Reactor): Promise<void> {
    try {
      await waitForChild(reactor, this.#child.pidfd);
    } catch {
      // The kernel has no room for a further watch. It is not reaped before the daemon ends, and serves all the same.
    } finally {
      this.#hasEnded = true;
      this.#end(
        new Failure("Unavailable", `the shim ended: ${this.#child.failure()?.message ?? "it did not say why"}`),
      );
      this.#child.close();
    }
  }

  #read(): void {
    try {
      const parcel = receiveParcel(this.#socket.number);
      if (parcel === undefined) return;
      if (parcel === "end") return this.#end(new Failure("Unavailable", "the shim has closed its connection"));
      for (const descriptor of parcel.descriptors) descriptor.close();
      this.#answer.resolve(parseSpare(parcel.text));
    } catch (error) {
      this.#end(error);
    }
  }

  #end(error: unknown): void {
    // Nobody may be waiting for an answer.
    this.#answer.promise.catch(() => {});
    this.#answer.reject(error);
    this.#watch.close();
    this.#socket.close();
  }

  async #becomeReady(): Promise<void> {
    const message = await this.#nextAnswer(startMsMax);
    if (message.says !== "ready") throw new Failure("Unknown", `the shim said ${message.says}: want ready`);
    const wanted = buildVersion();
    if (message.version !== wanted) {
      throw new Failure("FailedPrecondition", `the shim is of version ${message.version}: want ${wanted}`);
    }
    this.#wasReady = true;
  }

  async #nextAnswer(msMax: number): Promise<SpareMessage> {
    const { promise, reject } = Promise.withResolvers<never>();
    const late = new Failure("DeadlineExceeded", `the shim did not answer within ${msMax / 1000} s`);
    const timer = setTimeout(() => reject(late), msMax);
    try {
      return await Promise.race([this.#answer.promise, promise]);
    } catch (error) {
      this.kill();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether it came to wait for its work. */
  get wasReady(): boolean {
    return this.#wasReady;
  }

  /**
   * Makes it serve on the listening socket, once it is ready; it is nobody's spare any more. Throws what it says, the
   * signal's reason, `Unavailable` where it has ended, and `DeadlineExceeded`; it is killed then.
   */
  async serve(work: SpareWork, listener: number, signal: AbortSignal): Promise<void> {
    try {
      await untilAborted(this.#ready, signal);
      this.#answer = Promise.withResolvers();
      // The number of a closed socket may be another one's by now.
      if (!this.#socket.isOpen || !sendParcel(this.#socket.number, spareText({ says: "serve", work }), [listener])) {
        throw new Failure("Unavailable", "the shim ended before it was told whose it is");
      }
      const message = await this.#nextAnswer(serveMsMax);
      if (message.says === "failed") throw new Failure("Unknown", message.reason);
      if (message.says !== "serves") throw new Failure("Unknown", `the shim said ${message.says}: want serves`);
      // What it says from now on it says where it serves.
      this.#watch.close();
      this.#socket.close();
    } catch (error) {
      this.kill();
      throw error instanceof Failure || signal.aborted
        ? error
        : new Failure("Unavailable", `a shim cannot be told whose it is: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Ends one that serves nobody. */
  kill(): void {
    if (!this.#hasEnded) signalPidfd(this.#child.pidfd, killSignal);
  }
}
