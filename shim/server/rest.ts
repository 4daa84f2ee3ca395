/**
 * What a shim gives back when it has come to rest.
 *
 * @module
 */
import { returnFreeMemory } from "../../ffi/free_memory.ts";
import { returnProgramPages } from "../../ffi/program_pages.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import { after } from "../../ffi/timer.ts";

/** Without a new container; they come in bursts. */
const defaultCalmMs = 3_000;

/** Gives memory back some seconds after the last container came. An idle shim is never woken. */
export class Rest implements Disposable {
  #timer: Watch | undefined;
  #disturbed = false;

  /** `giveBack` is what is done after so many milliseconds of calm. */
  constructor(
    private readonly reactor: Reactor,
    private readonly giveBack: () => void = returnMemory,
    private readonly calmMs: number = defaultCalmMs,
  ) {}

  /** A container has come. */
  disturb(): void {
    this.#disturbed = true;
    if (this.#timer === undefined) this.#wait();
  }

  #wait(): void {
    this.#disturbed = false;
    this.#timer = after(this.reactor, this.calmMs, () => {
      this.#timer = undefined;
      if (this.#disturbed) this.#wait();
      else this.giveBack();
    });
  }

  [Symbol.dispose](): void {
    this.#timer?.close();
    this.#timer = undefined;
  }
}

function returnMemory(): void {
  returnFreeMemory();
  returnProgramPages();
}
