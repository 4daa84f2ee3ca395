/**
 * One stream on its way: from a descriptor of the container's side to a target, or from a client to the container.
 *
 * Bytes are moved when the reactor says that there are some. When the target is full, the flow waits for the target and
 * not for the source, so that nothing spins and no other flow is held up; the container waits then, as it would at a
 * pipe. A flow that always has something to move stops after some rounds and takes its next turn like the others.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { errnoNumber, errnoText } from "../../ffi/errno.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import { readyNow } from "../../ffi/splice.ts";
import { after } from "../../ffi/timer.ts";
import { Copying, type Mover, splicing } from "./mover.ts";
import { nullTarget, type Target } from "./target.ts";

/** What a flow is made from. */
export interface FlowOptions {
  /** Name for messages, such as `stdout`. */
  readonly name: string;
  /** Non-blocking; the flow closes it at its end. */
  readonly from: Descriptor;
  readonly kind: "pipe" | "terminal" | "file";
  /** The flow finishes it at the end of the source, and closes it in {@link Flow.close}. */
  readonly to: Target;
  /** Whether the source is emptied into nothing once the target takes no more for good; else the flow ends. */
  readonly discards: boolean;
  /** Hears of targets that fail. */
  readonly warn: (text: string) => void;
}

/** 1 MiB, where every round moves a full pipe: a fraction of a millisecond. */
const roundsMax = 16;
/** A move takes a full pipe; the second is for what was read before the cut. */
const lastMovesMax = 2;
/** A full disk is tried again so often. */
const fullMs = 1000;
/** Pause where both sides claim to be ready and nothing moves: not seen, and not to be spun on. */
const stalledMs = 5;
/** A file as input is read at this pace: 1 MiB each time. */
const fileMs = 1;

const again = -errnoNumber("EAGAIN");
const interrupted = -errnoNumber("EINTR");
const cannotSplice = -errnoNumber("EINVAL");
const hungUp = -errnoNumber("EIO");
const full = [-errnoNumber("ENOSPC"), -errnoNumber("EDQUOT")];

/** What a flow waits for. */
type Wait = "source" | "hang-up" | "target" | "time";

/** A stream under way. */
export class Flow {
  /** Resolves when the source has ended (or was cut) and the target has been given everything. */
  readonly ended: Promise<void>;
  readonly #resolve: () => void;
  #to: Target;
  #mover: Mover;
  #watch: Watch | undefined;
  #waits: Wait | undefined;
  /** Whether a thread has bytes in hand: descriptors stay open until it comes back. */
  #busy = false;
  #ending: "no" | "when empty" | "now" = "no";
  #begun = false;
  #done = false;
  #closed = false;
  #moved = false;
  #stalls = 0;
  #lastMoves = 0;
  #toldFull = false;

  constructor(readonly reactor: Reactor, readonly options: FlowOptions) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#resolve = resolve;
    this.#to = options.to;
    const from = options.from.number, to = options.to.fd;
    // A terminal gives small pieces, each of which would take a whole page of the target when spliced: a FIFO that nobody
    // reads would be full after 16 of them. Copied they share pages, at the same speed.
    const onThread = options.to.takes === "writes";
    this.#mover = onThread || options.kind === "terminal" ? new Copying(from, to, onThread) : splicing(from, to);
  }

  /** Begins to move bytes. An end that was asked for before comes now. */
  begin(): void {
    this.#begun = true;
    if (!this.#done && this.#waits === undefined && !this.#busy) this.#pump();
  }

  /** Begins where there is nothing to move: such an end needs nobody on the other side. */
  beginIfOver(): void {
    if (readyNow(this.options.from.number, flags("EPOLLIN")) === flags("EPOLLHUP")) this.begin();
  }

  /** Ends as soon as the source is empty, also where somebody could still write: a terminal whose process is gone. */
  endWhenEmpty(): void {
    if (this.#ending === "no") this.#ending = "when empty";
    this.#retry();
  }

  /** Moves what can be moved at once, and ends. */
  cut(): void {
    this.#ending = "now";
    this.#retry();
  }

  /** Gives the descriptors back; what was not moved is lost. A second call does nothing. */
  close(): void {
    this.#closed = true;
    this.#rest();
    if (!this.#busy) this.#release();
  }

  #release(): void {
    this.options.from.close();
    this.#to.close();
    this.#finished();
  }

  #finished(): void {
    this.#done = true;
    this.#resolve();
  }

  #retry(): void {
    if (!this.#begun || this.#done || this.#busy) return;
    this.#rest();
    this.#pump();
  }

  #pump(): void {
    for (let round = 0; round < roundsMax; round++) {
      const moved = this.#mover.move();
      if (typeof moved !== "number") {
        this.#rest();
        this.#busy = true;
        moved.then((count) => this.#back(count));
        return;
      }
      if (!this.#goesOn(moved)) return;
    }
    // The watch reports what is left at once; others come first.
    this.#await("source");
  }

  /** A thread has come back. */
  #back(count: number): void {
    this.#busy = false;
    if (this.#closed) this.#release();
    else if (this.#goesOn(count)) this.#pump();
  }

  /** Whether there may be more to move at once. */
  #goesOn(moved: number): boolean {
    if (moved > 0) {
      this.#moved = true;
      this.#toldFull = false;
      this.#stalls = 0;
      // Somebody may write for ever: what comes after the cut is not moved.
      if (this.#ending === "now" && !this.#mover.pending && ++this.#lastMoves >= lastMovesMax) return this.#end();
      return true;
    }
    if (moved === 0) return this.#end();
    if (moved === interrupted) return true;
    if (moved === again) return this.#blocked();
    if (moved === hungUp && this.options.kind === "terminal" && !this.#mover.pending) {
      // The last program has closed the terminal. Another may open it while the process lives (init systems do).
      return this.#ending === "no" ? this.#await("hang-up") : this.#end();
    }
    if (moved === cannotSplice && !this.#moved && !(this.#mover instanceof Copying)) {
      // Some kernels between 5.10 and 5.11 splice nothing into terminals, and some devices take no splices at all.
      this.#mover = new Copying(this.options.from.number, this.#to.fd, false);
      return true;
    }
    return this.#failed(-moved);
  }

  /** The target takes no more: for a while, or for good. */
  #failed(errno: number): boolean {
    const { name, discards, warn } = this.options;
    if (full.includes(-errno)) {
      if (this.#ending === "now") return this.#end();
      if (!this.#toldFull) warn(`${name}: ${errnoText(errno)}: the container waits until there is room`);
      this.#toldFull = true;
      return this.#await("time", fullMs);
    }
    if (!discards) return this.#end();
    warn(`${name}: ${errnoText(errno)}: what the container still prints is lost`);
    this.#rest();
    this.#to.close();
    this.#to = nullTarget();
    this.#mover = splicing(this.options.from.number, this.#to.fd);
    return true;
  }

  #blocked(): boolean {
    const { from, kind } = this.options;
    const sourceReady = kind === "file" || readyNow(from.number, flags("EPOLLIN")) !== 0;
    const targetReady = !this.#to.watchable || readyNow(this.#to.fd, flags("EPOLLOUT")) !== 0;
    if (this.#ending === "now") return this.#end();
    if ((sourceReady || this.#mover.pending) && !targetReady) return this.#await("target");
    if (!sourceReady && !this.#mover.pending && this.#ending === "when empty") return this.#end();
    if (sourceReady && targetReady && ++this.#stalls > 3) return this.#await("time", stalledMs);
    return this.#await("source");
  }

  /** Waits; always false. What is waited for already stays watched. */
  #await(wait: Wait, timeMs = fileMs): false {
    if (this.#waits === wait && wait !== "time") return false;
    this.#rest();
    const { from, kind } = this.options;
    const pump = (): void => this.#pump();
    if (wait === "target") this.#watch = this.reactor.watch(this.#to.fd, flags("EPOLLOUT"), pump);
    else if (wait === "time" || kind === "file") this.#watch = after(this.reactor, timeMs, pump);
    else {
      // A terminal that is hung up is reported for ever; by its edges, again only when somebody has written.
      const events = wait === "hang-up" ? flags("EPOLLIN", "EPOLLET") : flags("EPOLLIN");
      this.#watch = this.reactor.watch(from.number, events, pump);
    }
    this.#waits = wait;
    return false;
  }

  #rest(): void {
    this.#watch?.close();
    this.#watch = undefined;
    this.#waits = undefined;
  }

  /** Always false. */
  #end(): false {
    this.#rest();
    this.options.from.close();
    this.#to.finish();
    this.#finished();
    return false;
  }
}
