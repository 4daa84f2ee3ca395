/**
 * The children of a shim: each is reaped by who waits for it, orphans by the shim.
 *
 * @module
 */
import { isErrno } from "../../ffi/errno.ts";
import { type ExitStatus, OrphanReaper, waitForChild } from "../../ffi/process.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { pause } from "../../ffi/timer.ts";
import { isLogger } from "../io/logger.ts";

const retryMs = 200;

/** Programs that whoever has started them waits for, without a {@link Children}. */
export const programs: Set<number> = new Set();

/** Knows whose child is whose. One for each process: the kernel tells of ended children one at a time. */
export class Children implements Disposable {
  readonly #awaited = new Set<number>();
  readonly #reaper: OrphanReaper;
  #beingMade = 0;

  /** Makes this process the parent of its descendants' orphans. */
  constructor(readonly reactor: Reactor) {
    this.#reaper = new OrphanReaper(
      reactor,
      (pid) => this.#beingMade > 0 || this.#awaited.has(pid) || programs.has(pid) || isLogger(pid),
    );
  }

  /** Runs `body`, which makes a child whose process id is not known before it returns; no child is reaped meanwhile. */
  async making<T>(body: () => Promise<T>): Promise<T> {
    this.#beingMade++;
    try {
      return await body();
    } finally {
      this.#beingMade--;
    }
  }

  /** Waits for the end of a child and reaps it. To be called before `making` ends. */
  async wait(pid: number, pidfd: number): Promise<ExitStatus> {
    this.#awaited.add(pid);
    try {
      for (;;) {
        try {
          return await waitForChild(this.reactor, pidfd);
        } catch (error) {
          // An end that cannot be watched for now, as descriptors or memory are short, is still to be told of.
          if (!isErrno(error, "ENOSPC", "ENOMEM")) throw error;
          await pause(this.reactor, retryMs);
        }
      }
    } finally {
      this.#awaited.delete(pid);
    }
  }

  [Symbol.dispose](): void {
    this.#reaper[Symbol.dispose]();
  }
}
