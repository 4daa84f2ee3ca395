/**
 * A listener that outlives what accept(2) reports: too many open files end, and then there are connections again.
 *
 * @module
 */
import type { Listener } from "../../api/rpc/connection.ts";

/** Pause after a failure; the connections wait in the kernel's queue. */
const pauseMs = 50;

/** What is listened on; `Deno.Listener` is such. */
interface Acceptor<C> {
  accept(): Promise<C>;
  close(): void;
}

/**
 * Gives the connections of a listener until it is closed. `onProblem` learns of each failure to accept one, at most 20
 * a second.
 */
export function patiently<C extends Deno.Conn>(acceptor: Acceptor<C>, onProblem: (error: unknown) => void): Listener {
  let closed = false;
  return {
    async *[Symbol.asyncIterator]() {
      while (!closed) {
        try {
          yield await acceptor.accept();
        } catch (error) {
          if (closed) return;
          onProblem(error);
          await new Promise((resolve) => setTimeout(resolve, pauseMs));
        }
      }
    },
    close() {
      if (closed) return;
      closed = true;
      acceptor.close();
    },
  };
}
