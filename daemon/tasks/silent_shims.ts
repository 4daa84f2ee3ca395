/**
 * Shims that do not answer and stand in the way of somebody who wants a task to end: they are killed where that costs
 * nobody a container.
 *
 * One of barge's own is replaced: another one takes over what it holds, and does what it did not. One whose tasks nobody
 * can take over is killed when all of them are to end. Until then it is left alone, as it may answer again and go on.
 *
 * @module
 */
import type { Logger } from "../log/logger.ts";
import type { ShimChannel } from "./shim_channel.ts";
import type { Task } from "./task.ts";

/** What {@link SilentShims} needs. */
export interface SilentShimsParts {
  readonly log: Logger;
  /** All tasks that there are. */
  readonly tasks: () => readonly Task[];
  /** Whether another shim can take the task over. */
  readonly canAdopt: (task: Task) => boolean;
}

/** See the module. */
export class SilentShims {
  readonly #parts: SilentShimsParts;

  constructor(parts: SilentShimsParts) {
    this.#parts = parts;
  }

  /**
   * Kills the shim where each of its tasks is unwanted, or can be taken over by another one; `but` is one that is about to
   * be cleaned up. Says whether it did: who notices its end goes on from there.
   */
  end(channel: ShimChannel, but?: Task): boolean {
    const { log, tasks, canAdopt } = this.#parts;
    if (channel.pid === undefined) return false;
    const held = tasks().filter((task) => task.channel === channel && task !== but && !task.ending);
    const unwanted = held.filter((task) => task.unwanted || task.condemned);
    if (!held.every((task) => unwanted.includes(task) || canAdopt(task))) return false;
    // Should it answer in this very moment, its end is settled all the same.
    for (const task of unwanted) task.condemned = true;
    const { address } = channel.endpoint;
    log.warn("shim does not answer and is killed, as a task of it is to end", { address, pid: channel.pid });
    return channel.kill();
  }
}
