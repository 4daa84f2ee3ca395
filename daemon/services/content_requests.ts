/**
 * Waiting for messages of a stream that may never come.
 *
 * @module
 */

/** The next message; undefined at the end of the stream. Throws the signal's reason once it is aborted. */
export async function nextOrAbort<T>(messages: AsyncIterator<T>, signal: AbortSignal): Promise<T | undefined> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const stop = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const next = await Promise.race([messages.next(), aborted.promise]);
    return next.done === true ? undefined : next.value;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
