/**
 * Whether a shim of barge's own answers at all. Its main thread never waits, so that a question without work is answered
 * at once, whatever else it has to do: one that does not answer that is stopped, starved or stuck, and is not waited for.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";

/** A call that takes longer is looked after, and looked after again. */
const afterMs = 2_000;
/** For an answer without work, on a host that has more to do than it can. */
const answerMsMax = 5_000;
/** For one that did not answer the last time. */
const againMsMax = 2_000;

/** See the module. One for each connection. */
export class Pulse {
  readonly #ask: (timeoutMs: number) => Promise<unknown>;
  #asking: Promise<void> | undefined;
  #isSilent = false;

  /** `ask` is the question without work. What else than `DeadlineExceeded` it throws is an answer as well. */
  constructor(ask: (timeoutMs: number) => Promise<unknown>) {
    this.#ask = ask;
  }

  /** Whether the last question was not answered. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Notes that it has answered something. */
  heard(): void {
    this.#isSilent = false;
  }

  /** The call's result. Throws `DeadlineExceeded` where the shim answers nothing meanwhile, and what the call throws. */
  async watch<T>(call: Promise<T>): Promise<T> {
    const { promise: silence, reject } = Promise.withResolvers<never>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const look = (): void => {
      if (!isOver) timer = setTimeout(() => this.#question().then(look, reject), this.#isSilent ? 0 : afterMs);
    };
    look();
    try {
      return await Promise.race([call, silence]);
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  }

  /** One at a time, whoever asks. */
  #question(): Promise<void> {
    return this.#asking ??= this.#answered().finally(() => this.#asking = undefined);
  }

  async #answered(): Promise<void> {
    const timeMs = this.#isSilent ? againMsMax : answerMsMax;
    try {
      await this.#ask(timeMs);
    } catch (error) {
      if (!isFailure(error, "DeadlineExceeded")) return;
      this.#isSilent = true;
      throw new Failure("DeadlineExceeded", `nothing was answered for ${timeMs / 1000} s`, { cause: error });
    }
    this.#isSilent = false;
  }
}
