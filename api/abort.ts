/**
 * Waiting that ends with an abort.
 *
 * @module
 */

/**
 * What `work` gives, or the signal's reason as soon as it aborts. `discard` gets what comes too late; that it fails is
 * nobody's business then.
 */
export async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  discard: (late: T) => void = () => {},
): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop);
  try {
    return await Promise.race([work, aborted]);
  } catch (error) {
    work.then(discard, () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Waits. Throws the signal's reason as soon as it aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    await untilAborted(promise, signal);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits, at most until the signal aborts, which is no failure. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, signal).catch(() => {});
}
