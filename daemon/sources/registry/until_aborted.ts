/**
 * Waiting for what does not hear of an abort by itself.
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

/** Connects by TCP. Throws what the system says, and the signal's reason, also while a name is looked up. */
export async function connectTcp(hostname: string, port: number, signal: AbortSignal): Promise<Deno.TcpConn> {
  signal.throwIfAborted();
  return await untilAborted(Deno.connect({ hostname, port }), signal, (late) => late.close());
}
