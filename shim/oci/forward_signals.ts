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

/** Forwards until it is disposed of. */
export class SignalForwarder implements Disposable {
  readonly #listeners: [Deno.Signal, () => void][];

  constructor(pidfd: number) {
    this.#listeners = forwarded.map(([name, number]) => [name, () => {
      try {
        signalPidfd(pidfd, number);
      } catch {
        // ESRCH: it has ended meanwhile, and the end is being waited for.
      }
    }]);
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
  }

  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
  }
}
