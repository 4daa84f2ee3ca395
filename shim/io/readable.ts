/**
 * Waiting for one descriptor, with a limit.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import { after } from "../../ffi/timer.ts";

/**
 * Waits until the descriptor has bytes or is at its end; false where that takes longer. Throws the signal's reason when
 * it is aborted.
 */
export async function readable(
  reactor: Reactor,
  fd: number,
  timeMsMax: number,
  signal?: AbortSignal,
): Promise<boolean> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const abort = (): void => reject(signal?.reason);
  const watches: Watch[] = [
    reactor.watch(fd, flags("EPOLLIN"), () => resolve(true)),
    after(reactor, timeMsMax, () => resolve(false)),
  ];
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await promise;
  } finally {
    signal?.removeEventListener("abort", abort);
    for (const watch of watches) watch.close();
  }
}
