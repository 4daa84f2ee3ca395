/**
 * What is done when a task ends, or was not made: its shim ends, and its directories and mounts go.
 *
 * @module
 */
import { isFailure, messageOf } from "../../api/errors.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { removeDeadSocket } from "../../shim/server/find_shim.ts";
import type { Logger } from "../log/logger.ts";
import type { MountManager } from "../mounts/mount_manager.ts";
import { socketOf } from "./bootstrap.ts";
import type { Bundle } from "./bundle.ts";
import type { ConfiguredDeadlines } from "./deadlines.ts";
import type { ShimLauncher } from "./launcher.ts";
import { isGone } from "./shim_channel.ts";
import type { ShimChannels } from "./shim_channels.ts";
import type { SilentShims } from "./silent_shims.ts";
import type { ShimLog } from "./shim_log.ts";
import { lingers } from "./shim_program.ts";
import { type Task, type TaskExit, unknownExit } from "./task.ts";

/** What cleaning up needs. */
export interface CleanupParts {
  readonly launcher: ShimLauncher;
  readonly mounts: MountManager;
  readonly reactor: Reactor;
  readonly log: Logger;
  readonly deadlines: ConfiguredDeadlines;
}

/** Undoing what failed goes on after its client has left, but not for ever. */
const undoMsMax = 15_000;

/** See the module. */
export class TaskCleanup {
  readonly #parts: CleanupParts;
  readonly #channels: ShimChannels;
  readonly #silent: SilentShims;

  constructor(parts: CleanupParts, channels: ShimChannels, silent: SilentShims) {
    this.#parts = parts;
    this.#channels = channels;
    this.#silent = silent;
  }

  /** Undoes what a task was given. */
  release(task: Task): void {
    task.log[Symbol.dispose]();
    this.#channels.give(task.channel, lingers(task.program));
  }

  /** Undoes what was begun to make a task. What cannot be undone is thrown or logged. */
  async undo(bundle: Bundle, program: string, task: Task | undefined, log: ShimLog | undefined): Promise<void> {
    const { launcher, deadlines } = this.#parts;
    if (task !== undefined) {
      task.ending = true;
      const { id } = task;
      const signal = AbortSignal.timeout(undoMsMax);
      const reachable = await task.call("delete", { id, execId: "" }, signal, deadlines.cleanupMs).then(
        () => true,
        (error) => !isGone(error) && !isFailure(error, "DeadlineExceeded"),
      );
      // One that does not answer may make what is cleaned up here when it does again.
      if (reachable) await this.shutDown(task);
      else if (task.channel.open) this.#silent.end(task.channel, task);
      else if (this.#channels.users(task.channel) === 1) task.channel.kill();
      this.release(task);
    } else log?.[Symbol.dispose]();
    if (log !== undefined) {
      // Whatever was begun is the program's to clean up; one that could not even start has nothing to.
      await launcher.clean(program, bundle, deadlines.cleanupMs).catch((error) => {
        this.#parts.log.debug("failed to clean up after a shim", { error, id: bundle.id });
      });
    }
    await this.removeBundle(bundle);
  }

  /** Removes a task's directories, and what was mounted for it. Throws as `Bundle.delete`. */
  async removeBundle(bundle: Bundle): Promise<void> {
    await bundle.delete();
    try {
      await this.#parts.mounts.deactivate(bundle.namespace, bundle.id, AbortSignal.timeout(undoMsMax));
    } catch (error) {
      if (!isFailure(error, "NotFound")) throw error;
    }
  }

  /** Tells the shim of a task that is removed to end, where it has no other. */
  async shutDown(task: Task): Promise<void> {
    // A shim of several tasks ends with the last one.
    if (this.#channels.users(task.channel) > 1 || lingers(task.program)) return;
    try {
      await task.call("shutdown", { id: task.id, now: false }, AbortSignal.timeout(undoMsMax));
    } catch (error) {
      // It may end before it has answered.
      if (!isGone(error)) this.#parts.log.warn("failed to shut down shim", { error, id: task.id });
    }
  }

  /** Lets the shim's program clean up; where it cannot, how the task ended is unknown. */
  async runCleaner(bundle: Bundle, program: string): Promise<TaskExit> {
    const { launcher, deadlines, log } = this.#parts;
    try {
      return await launcher.clean(program, bundle, deadlines.cleanupMs);
    } catch (error) {
      log.warn("failed to clean up after shim disconnected", { error: messageOf(error), id: bundle.id });
      return unknownExit();
    } finally {
      await this.#removeSocket(bundle);
    }
  }

  /** Stock's programs leave the socket of a shim that was killed. One that somebody listens on stays. */
  async #removeSocket(bundle: Bundle): Promise<void> {
    try {
      const address = bundle.endpoint()?.address;
      if (address?.startsWith("unix:///")) await removeDeadSocket(this.#parts.reactor, socketOf(address));
    } catch (error) {
      this.#parts.log.debug("cannot remove the socket of a dead shim", { error, id: bundle.id });
    }
  }

  /** Removes what a task that nobody has any more left. */
  async cleanBundle(bundle: Bundle, program: string): Promise<TaskExit> {
    const exit = await this.runCleaner(bundle, program);
    await this.removeBundle(bundle);
    return exit;
  }
}
