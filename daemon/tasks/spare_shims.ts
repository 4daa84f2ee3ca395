/**
 * Keeps one shim ahead, so that the first container of a group does not wait for the start of a program. The next one is
 * started when the daemon has nothing more urgent to do.
 *
 * @module
 */
import { isFailure, messageOf } from "../../api/errors.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { ServerCommand } from "../../shim/server/spawn_server.ts";
import type { SpareWork } from "../../shim/server/spare_message.ts";
import type { Logger } from "../log/logger.ts";
import { isSameProgram } from "./own_link.ts";
import { SpareShim } from "./spare_shim.ts";

/** What {@link SpareShims} needs. */
export interface SpareShimsParts {
  readonly reactor: Reactor;
  readonly log: Logger;
  /** How a spare shim of the program is started. */
  readonly commandOf: (program: string) => ServerCommand;
}

/** After the last one was taken, and after a look that found the daemon busy. */
const quietMs = 250;
/** A daemon that is busy for longer has a spare shim all the same. */
const busyMsMax = 2_000;
/** A program that has ended so often before it was ready is another version's. */
const failuresMax = 3;
/** After one that died by itself: twice as long each time. One that lives for a minute is in order again. */
const retryMsMin = 1_000;
const retryMsMax = 60_000;

/** See the module. */
export class SpareShims implements Disposable {
  readonly #parts: SpareShimsParts;
  /** Programs that cannot be started ahead: another version's. */
  readonly #unfit = new Set<string>();
  /** The program that one is kept of. */
  #program: string | undefined;
  #isBusy = () => false;
  #spare: SpareShim | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = retryMsMin;
  #failures = 0;
  #closed = false;

  constructor(parts: SpareShimsParts) {
    this.#parts = parts;
  }

  /** From now on there is one of that program ahead, started while nobody is busy. */
  keep(program: string, isBusy: () => boolean): void {
    this.#program = program;
    this.#isBusy = isBusy;
    this.#refillLater(quietMs);
  }

  /**
   * Makes a shim serve on the listening socket and gives its process id: the spare one, or one that is started for it.
   * Undefined where the program does not know how to be started like that. Throws what the shim says, and the signal's
   * reason.
   */
  async serve(program: string, work: SpareWork, listener: number, signal: AbortSignal): Promise<number | undefined> {
    const spare = this.#take(program);
    if (spare !== undefined) {
      const served = await this.#tell(spare, work, listener, signal);
      if (served) return spare.pid;
    }
    if (this.#unfit.has(program)) return undefined;
    // Nobody has one ahead, or it was dead or stopped.
    const shim = this.#start(program);
    if (shim !== undefined && await this.#tell(shim, work, listener, signal)) return shim.pid;
    if (shim !== undefined) this.#judge(program, shim);
    return undefined;
  }

  /** Says whether it serves. Throws what speaks against serving at all. */
  async #tell(shim: SpareShim, work: SpareWork, listener: number, signal: AbortSignal): Promise<boolean> {
    try {
      await shim.serve(work, listener, signal);
      return true;
    } catch (error) {
      if (signal.aborted || isFailure(error, "Unknown")) throw error;
      this.#parts.log.debug("a shim that was started ahead is of no use", { reason: messageOf(error), pid: shim.pid });
      return false;
    }
  }

  /** A host that has no room for a process may have it later; a program that never knows the word will not. */
  #judge(program: string, shim: SpareShim): void {
    this.#failures = shim.wasReady ? 0 : this.#failures + 1;
    if (this.#failures < failuresMax || this.#unfit.has(program)) return;
    this.#unfit.add(program);
    this.#parts.log.info("shims are started by their own start, as they cannot be started ahead", { program });
  }

  #take(program: string): SpareShim | undefined {
    if (this.#program === undefined || !isSameProgram(this.#program, program)) return undefined;
    const spare = this.#spare;
    this.#spare = undefined;
    this.#refillLater(quietMs);
    return spare;
  }

  #start(program: string): SpareShim | undefined {
    const { reactor, log, commandOf } = this.#parts;
    try {
      return new SpareShim(reactor, commandOf(program));
    } catch (error) {
      log.warn("no shim can be started ahead", { error });
      return undefined;
    }
  }

  #refillLater(timeMs: number, busyUntil = performance.now() + busyMsMax): void {
    clearTimeout(this.#timer);
    const timer = setTimeout(() => {
      if (this.#isBusy() && performance.now() < busyUntil) this.#refillLater(quietMs, busyUntil);
      else this.#refill();
    }, timeMs);
    Deno.unrefTimer(timer);
    this.#timer = timer;
  }

  #refill(): void {
    const program = this.#program;
    if (this.#closed || this.#spare !== undefined || program === undefined || this.#unfit.has(program)) return;
    const begun = performance.now();
    const spare = this.#start(program);
    if (spare === undefined) return this.#retryLater();
    this.#spare = spare;
    void spare.ended.finally(() => {
      if (this.#spare !== spare || this.#closed) return;
      this.#spare = undefined;
      this.#judge(program, spare);
      if (performance.now() - begun > retryMsMax) this.#retryMs = retryMsMin;
      this.#parts.log.debug("the spare shim has ended, and another one is started", {
        pid: spare.pid,
        inMs: this.#retryMs,
      });
      this.#retryLater();
    });
  }

  #retryLater(): void {
    this.#refillLater(this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, retryMsMax);
  }

  /** Ends the spare one; shims that were taken are left as they are. */
  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#spare?.kill();
    this.#spare = undefined;
  }
}
