/**
 * FIFOs that clients read.
 *
 * @module
 */
import type { Descriptor } from "../../ffi/descriptor.ts";
import { holdForWriting, holdUnheld, isRead, openUnheld } from "../../ffi/fifo.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import { bytesUnread } from "../../ffi/splice.ts";
import { after } from "../../ffi/timer.ts";
import type { Target } from "./target.ts";

/** How soon, and how often at most, a finished FIFO without a reader is looked at again. */
const lookMs = { first: 50, longest: 1000 };
/** The same for the first reader, whom a start waits for: nothing but looking tells of it. */
const firstReaderMs = { first: 0.5, longest: 10 };

/**
 * A FIFO that somebody reads, or will read. While bytes come this process holds both sides, so that a reader may leave
 * and another one come: what is printed meanwhile stays in the FIFO, and when that is full in the container's pipe, and
 * then the container waits.
 *
 * Before the first byte it may wait for the first reader. A client opens its FIFOs on threads of its own, and gives up
 * those that it has not opened when it hears that the process has ended.
 *
 * At the end the last reader sees the end as soon as it has read everything. Where there is no reader then, and bytes
 * are left, the FIFO is kept for one that still comes, until the target is closed.
 */
export class FifoTarget implements Target {
  readonly takes = "splices";
  readonly watchable = true;
  readonly fifo: Descriptor;
  /** Missing while the first reader is awaited, whom this process's own would hide. */
  #held: Descriptor | undefined;
  #timer: Watch | undefined;
  #awaited: PromiseWithResolvers<void> | undefined;

  constructor(readonly reactor: Reactor, path: string, awaitsReader: boolean) {
    if (!awaitsReader) {
      const { used, held } = holdForWriting(path);
      this.fifo = used;
      this.#held = held;
      return;
    }
    const { used, hasReader } = openUnheld(path);
    this.fifo = used;
    if (hasReader) this.#hold();
  }

  get fd(): number {
    return this.fifo.number;
  }

  #hold(): void {
    try {
      this.#held = holdUnheld(this.fifo);
    } catch (error) {
      this.fifo.close();
      throw error;
    }
  }

  whenRead(timeMsMax: number): Promise<void> | undefined {
    if (this.#held !== undefined || !this.fifo.isOpen) return undefined;
    if (this.#awaited === undefined) {
      this.#awaited = Promise.withResolvers();
      this.#lookForReader(firstReaderMs.first, performance.now() + timeMsMax);
    }
    return this.#awaited.promise;
  }

  #lookForReader(nextMs: number, untilMs: number): void {
    this.#timer = undefined;
    if (!isRead(this.fifo) && performance.now() < untilMs) {
      const later = Math.min(nextMs * 2, firstReaderMs.longest);
      this.#timer = after(this.reactor, nextMs, () => this.#lookForReader(later, untilMs));
      return;
    }
    try {
      this.#hold();
      this.#awaited?.resolve();
    } catch (error) {
      this.#awaited?.reject(error);
    }
  }

  finish(): void {
    this.#held?.close();
    this.#endForReader(lookMs.first);
  }

  #endForReader(nextMs: number): void {
    this.#timer = undefined;
    // The kernel keeps a pipe's bytes while it is open.
    if (isRead(this.fifo) || bytesUnread(this.fd) === 0) return this.fifo.close();
    const later = Math.min(nextMs * 2, lookMs.longest);
    this.#timer = after(this.reactor, nextMs, () => this.#endForReader(later));
  }

  close(): void {
    this.#timer?.close();
    this.#held?.close();
    this.fifo.close();
    this.#awaited?.resolve();
  }
}
