/**
 * Passes this process's signals on to a container's init.
 *
 * @module
 */
import { signalPidfd } from "../../ffi/process.ts";

/** What a user or a supervisor sends. SIGCHLD, SIGWINCH and SIGURG are this process's own affair. */
const forwarded: readonly [Deno.Signal, number][] = [
  ["SIGHUP", 1],
  ["SIGINT", 2],
  ["SIGQUIT", 3],
  ["SIGUSR1", 10],
  ["SIGUSR2", 12],
  ["SIGALRM", 14],
  ["SIGTERM", 15],
  ["SIGCONT", 18],
];

/**
 * Forwards from its making until it is disposed of. Signals that come before there is a container are kept for it: so a
 * stop that meets the start ends the container, and not this process in the middle of its work.
 */
export class SignalForwarder implements Disposable {
  readonly #listeners: [Deno.Signal, () => void][];
  #pidfd: number | undefined;
  readonly #kept = new Set<number>();

  constructor() {
    this.#listeners = forwarded.map(([name, number]) => [name, () => this.#forward(number)]);
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
  }

  /** Names the container's init, and gives it what has come. */
  forwardTo(pidfd: number): void {
    this.#pidfd = pidfd;
    for (const number of this.#kept) this.#forward(number);
    this.#kept.clear();
  }

  #forward(number: number): void {
    if (this.#pidfd === undefined) {
      this.#kept.add(number);
      return;
    }
    try {
      signalPidfd(this.#pidfd, number);
    } catch {
      // ESRCH: it has ended meanwhile, and the end is being waited for.
    }
  }

  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
  }
}
