/**
 * Connections without TLS, for a look at who is there.
 *
 * @module
 */
import { untilAborted } from "../../../api/abort.ts";

/** Connects by TCP. Throws what the system says, and the signal's reason, also while a name is looked up. */
export async function connectTcp(hostname: string, port: number, signal: AbortSignal): Promise<Deno.TcpConn> {
  signal.throwIfAborted();
  return await untilAborted(Deno.connect({ hostname, port }), signal, (late) => late.close());
}
