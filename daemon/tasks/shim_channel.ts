/**
 * Connections to shims. A shim that holds several tasks is connected once.
 *
 * @module
 */
import { Failure, isFailure, messageOf } from "../../api/errors.ts";
import { TaskDefinition as TaskDefinition2 } from "../../api/gen/runtime/task/v2/shim.ts";
import { TaskDefinition } from "../../api/gen/runtime/task/v3/shim.ts";
import { GroupDefinition } from "../../api/gen/shim/v1/group.ts";
import type { ClientOf, ServiceDefinition } from "../../api/rpc/definition.ts";
import { connect, type TtrpcChannel } from "../../api/ttrpc/client.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { ended, openPidfd, signalPidfd } from "../../ffi/process.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { connectStream } from "../../ffi/stream_socket.ts";
import type { Logger } from "../log/logger.ts";
import { type ShimEndpoint, socketOf } from "./bootstrap.ts";
import { Pulse } from "./pulse.ts";

/** A shim's answers. Both versions of the service have the same messages. */
export type ShimClient = ClientOf<typeof TaskDefinition>;

/** As containerd has it: a shim has started when it says where it listens, but a busy host takes its time. */
const dialMsMax = 100_000;
/** A shim that was told to end and has not after this time is killed. */
const endMsMax = 5_000;
/** One that was killed and gets hardly any of its processor ends within some seconds. */
const deadMsMax = 20_000;
const killSignal = 9;

/** A connection to one shim. */
export class ShimChannel {
  /** Told when the shim is gone, each once. */
  readonly losers = new Set<() => void>();
  readonly #reactor: Reactor;
  readonly #log: Logger;
  readonly #channel: TtrpcChannel;
  readonly #pulse: Pulse;
  #client: ShimClient;
  #version: 2 | 3;
  #pidfd: Descriptor | undefined;
  #pid: number | undefined;
  #dead: Promise<void> | undefined;
  #open = true;
  #isLate = false;

  /** Nothing is connected before the first call. Throws as {@link socketOf}. */
  constructor(reactor: Reactor, log: Logger, readonly endpoint: ShimEndpoint) {
    this.#reactor = reactor;
    this.#log = log;
    this.#pulse = new Pulse((timeoutMs) => this.clientOf(GroupDefinition).info({}, { timeoutMs }));
    const socket = socketOf(endpoint.address);
    this.#channel = connect({
      open: () => connectStream(reactor, socket, AbortSignal.timeout(dialMsMax)),
      onLost: () => this.#lost(),
    });
    this.#version = endpoint.version;
    this.#client = this.#make();
  }

  #make(): ShimClient {
    // The definitions differ in the name on the wire only.
    return this.#channel.client(
      this.#version === 3 ? TaskDefinition : TaskDefinition2 as unknown as typeof TaskDefinition,
    );
  }

  /** What answers. */
  get client(): ShimClient {
    return this.#client;
  }

  /** What answers for another of the shim's services. */
  clientOf<D extends ServiceDefinition>(definition: D): ClientOf<D> {
    return this.#channel.client(definition);
  }

  /** As {@link Pulse.watch}: for calls of barge's own shims. */
  watch<T>(call: Promise<T>): Promise<T> {
    return this.#pulse.watch(call);
  }

  /** Whether it is one of barge's own and did not answer anything when it was asked last. */
  get isSilent(): boolean {
    return this.#pulse.isSilent;
  }

  /** Notes that a call was not answered in time. */
  noteLate(reason: string): void {
    if (this.#isLate) return;
    this.#isLate = true;
    this.#log.warn("shim does not answer", { reason, address: this.endpoint.address });
  }

  /** Notes that a call was answered. */
  noteAnswer(): void {
    this.#pulse.heard();
    if (!this.#isLate) return;
    this.#isLate = false;
    this.#log.info("shim answers again", { address: this.endpoint.address });
  }

  /** Whether calls still reach somebody. */
  get open(): boolean {
    return this.#open;
  }

  /** Changes to the older version of the service; says whether there is one. */
  downgrade(): boolean {
    if (this.#version === 2) return false;
    this.#version = 2;
    this.#client = this.#make();
    return true;
  }

  /** The shim's process, once it is known. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /** Notes which process the shim is, so that it can be ended if it does not end by itself. */
  noteProcess(pid: number): void {
    if (pid <= 1 || this.#pidfd !== undefined || !this.#open) return;
    try {
      this.#pidfd = new Descriptor(openPidfd(pid));
      this.#pid = pid;
    } catch (error) {
      // It has ended meanwhile; the connection tells.
      if (!isErrno(error, "ESRCH")) throw error;
    }
  }

  /** Kills the shim; its containers are for the caller to clean up. Says whether it is known which process it is. */
  kill(): boolean {
    if (this.#pidfd === undefined) return false;
    try {
      signalPidfd(this.#pidfd.number, killSignal);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error;
    }
    return true;
  }

  /** Kills the shim and waits for its end. Throws `DeadlineExceeded` where it does not come: it may be stuck in the kernel. */
  dead(): Promise<void> {
    return this.#dead ??= this.#die();
  }

  async #die(): Promise<void> {
    if (!this.kill()) return;
    const late = AbortSignal.timeout(deadMsMax);
    try {
      await ended(this.#reactor, this.#pidfd!.number, late);
    } catch (error) {
      if (!late.aborted) throw error;
      throw new Failure("DeadlineExceeded", `the shim at ${this.endpoint.address} was killed and does not end`);
    }
  }

  #lost(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#channel.close();
    for (const loser of [...this.losers]) loser();
    this.losers.clear();
  }

  /** Leaves the shim as it is. */
  close(): void {
    this.losers.clear();
    this.#open = false;
    this.#channel.close();
    this.#pidfd?.close();
    this.#pidfd = undefined;
  }

  /** Leaves a shim that nobody needs any more, and kills it where it does not end. */
  async end(log: Logger): Promise<void> {
    const pidfd = this.#pidfd;
    this.#pidfd = undefined;
    this.close();
    if (pidfd === undefined) return;
    try {
      await ended(this.#reactor, pidfd.number, AbortSignal.timeout(endMsMax)).catch((error) => {
        if (!(error instanceof DOMException)) throw error;
        log.warn("shim does not end, killing it", { address: this.endpoint.address });
        signalPidfd(pidfd.number, killSignal);
      });
    } catch (error) {
      if (!isErrno(error, "ESRCH")) log.warn(`cannot end shim: ${messageOf(error)}`);
    } finally {
      pidfd.close();
    }
  }
}

/** Whether the call failed because there is nobody who could answer. */
export function isGone(error: unknown): error is Failure {
  return isFailure(error, "Unavailable");
}
