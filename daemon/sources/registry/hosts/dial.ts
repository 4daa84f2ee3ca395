/**
 * Trying whether a host can be reached in the time that its settings allow.
 *
 * @module
 */
import { messageOf } from "../../../../api/errors.ts";
import { LostConnection } from "../connection.ts";
import { portOf } from "../endpoint.ts";
import { connectTcp } from "../connect_tcp.ts";

/**
 * Connects, and hangs up: `fetch` has no limit for connecting alone. Throws `LostConnection` where the host cannot be
 * reached in time, and the signal's reason.
 */
export async function dial(url: URL, msMax: number, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(msMax)]);
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  try {
    (await connectTcp(hostname, portOf(url), limit)).close();
  } catch (error) {
    signal.throwIfAborted();
    const why = limit.aborted ? `it did not answer within ${msMax} ms` : messageOf(error);
    throw new LostConnection("refused", url.host, why, error);
  }
}
