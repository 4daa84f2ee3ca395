/**
 * Finds successors for shims that died: barge's own shims take over each other's containers.
 *
 * @module
 */
import { untilAborted } from "../../api/abort.ts";
import { Failure, messageOf } from "../../api/errors.ts";
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import { GroupDefinition } from "../../api/gen/shim/v1/group.ts";
import { deletedFile } from "../../ffi/launch.ts";
import { readOptions, wireOptions } from "../../shim/task/runtime_options.ts";
import { hasTaskRecord } from "../../shim/task/task_record.ts";
import type { Logger } from "../log/logger.ts";
import type { ShimEndpoint } from "./bootstrap.ts";
import type { Bundle } from "./bundle.ts";
import type { Deposit } from "./deposit.ts";
import type { StartedShim } from "./own_shims.ts";
import { isGone, type ShimChannel } from "./shim_channel.ts";
import type { ShimChannels } from "./shim_channels.ts";
import { lingers } from "./shim_program.ts";
import type { Task } from "./task.ts";
import { isThere } from "../../ffi/is_there.ts";

/** What {@link Succession} needs. */
export interface SuccessionParts {
  readonly channels: ShimChannels;
  readonly deposit: Deposit;
  readonly log: Logger;
  /** Finds a shim that has a place, or starts one. */
  readonly start: (
    bundle: Bundle,
    program: string,
    options: Any | undefined,
    signal: AbortSignal,
  ) => Promise<StartedShim>;
}

/** A successor starts, opens streams, and may wait for a client's disk. */
const adoptMsMax = 30_000;
/** A shim that is asked to leave descriptors connects, and leaves them later. */
const leaveMsMax = 5_000;
const leaveAfterMs = 20;
/** A container that brings shim after shim down is not given to another one for ever. */
const adoptionsMax = 5;
const adoptionsWithinMs = 60_000;

/** See the module. */
export class Succession {
  readonly #parts: SuccessionParts;
  readonly #adoptions = new Map<string, number[]>();
  /** Whether a shim leaves what its successors need. */
  readonly #left = new WeakMap<ShimChannel, Promise<boolean>>();
  /** Addresses of shims that leave it without being asked, and whose channels do not know that yet. */
  readonly #leaving = new Set<string>();
  /** One start after the other: the next task finds a place in the shim of the one before. */
  #starting: Promise<unknown> = Promise.resolve();

  constructor(parts: SuccessionParts) {
    this.#parts = parts;
  }

  /** Whether there is a way to take the container over. */
  canAdopt(bundle: Bundle, program: string): boolean {
    return lingers(program) && hasTaskRecord(bundle.path) && !isThere(`${bundle.path}/${deletedFile}`);
  }

  /**
   * Asks a shim, once, to leave what its containers' next shim will need. Says whether it does; what it does not leave is
   * missed only when it dies.
   */
  leave(channel: ShimChannel): Promise<boolean> {
    const left = this.#left.get(channel) ?? this.#askToLeave(channel);
    this.#left.set(channel, left);
    return left;
  }

  /** Notes that the shim there was told at its start to leave what its successors need. */
  noteLeaving(address: string): void {
    this.#leaving.add(address);
  }

  async #askToLeave(channel: ShimChannel): Promise<boolean> {
    const { deposit, log } = this.#parts;
    if (this.#leaving.delete(channel.endpoint.address)) return true;
    try {
      const socket = deposit.open();
      await channel.clientOf(GroupDefinition).deposit({ socket }, { timeoutMs: leaveMsMax });
      return true;
    } catch (error) {
      const { address } = channel.endpoint;
      log.debug("a shim leaves nothing for a successor", { address, reason: messageOf(error) });
      return false;
    }
  }

  /** As {@link leave}, a little later: what the client waits for comes first. */
  leaveSoon(channel: ShimChannel): void {
    if (this.#left.has(channel)) return;
    if (this.#leaving.has(channel.endpoint.address)) return void this.leave(channel);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#left.set(channel, promise);
    Deno.unrefTimer(setTimeout(() => resolve(channel.open ? this.#askToLeave(channel) : false), leaveAfterMs));
  }

  /**
   * Makes another shim take the task over, and gives the way to it, for one more user; where that one dies as well, the
   * next. Throws what starting it or its work met, and `FailedPrecondition` where it was tried too often.
   */
  async adopt(task: Task, signal: AbortSignal): Promise<ShimChannel> {
    for (;;) {
      try {
        return await this.#adoptOnce(task, signal);
      } catch (error) {
        if (!isGone(error) || signal.aborted) throw error;
        this.#parts.log.warn("a shim died while it took a container over", { id: task.id, namespace: task.namespace });
      }
    }
  }

  async #adoptOnce(task: Task, signal: AbortSignal): Promise<ShimChannel> {
    const { deposit, log } = this.#parts;
    const { id, namespace, bundle, program } = task;
    this.#refuseTooOften(`${namespace}/${id}`);
    // It must not go on beside its successor, and what it has sent must have been read.
    if (!task.channel.open) await task.channel.dead();
    deposit.readAll();
    const given = wireOptions(readOptions(bundle.path));
    const limit = AbortSignal.any([signal, AbortSignal.timeout(adoptMsMax)]);
    const { endpoint } = await this.#startInTurn(() => this.#parts.start(bundle, program, given, limit));
    // Before it has the container, so that the next daemon asks this one and no third.
    bundle.writeEndpoint(endpoint);
    const told = [...(task.exitTold ? [id] : []), ...task.execsTold];
    const channel = await this.#ask(endpoint, task, told, limit);
    log.info("another shim has taken a container over", { id, namespace, address: endpoint.address });
    return channel;
  }

  #refuseTooOften(key: string): void {
    const now = performance.now();
    for (const [known, times] of this.#adoptions) {
      if (now - times.at(-1)! > adoptionsWithinMs) this.#adoptions.delete(known);
    }
    const times = (this.#adoptions.get(key) ?? []).filter((time) => now - time < adoptionsWithinMs);
    if (times.length >= adoptionsMax) {
      throw new Failure(
        "FailedPrecondition",
        `${times.length} shims of it have died within ${adoptionsWithinMs / 1000} s`,
      );
    }
    this.#adoptions.set(key, [...times, now]);
  }

  #startInTurn<T>(start: () => Promise<T>): Promise<T> {
    const started = this.#starting.then(start);
    this.#starting = started.catch(() => {});
    return started;
  }

  async #ask(endpoint: ShimEndpoint, task: Task, told: string[], signal: AbortSignal): Promise<ShimChannel> {
    const { channels, deposit } = this.#parts;
    const { id, namespace, bundle } = task;
    const channel = channels.take(endpoint);
    try {
      const { shimPid } = await channel.client.connect({ id }, { signal, timeoutMs: adoptMsMax });
      channel.noteProcess(shimPid);
      // Whoever leaves nothing could not say either which of the dead one's descriptors stand in somebody's way.
      if (!await untilAborted(this.leave(channel), signal)) deposit.release(namespace, id);
      const request = { id, bundle: bundle.path, socket: deposit.open(), told };
      const { pid } = await channel.clientOf(GroupDefinition).adopt(request, { signal, timeoutMs: adoptMsMax });
      task.pid = pid;
      return channel;
    } catch (error) {
      // Nobody is to have the container when the next one gets it.
      if (isGone(error) && !channel.open) await channel.dead();
      channels.give(channel, true);
      throw error;
    }
  }
}
