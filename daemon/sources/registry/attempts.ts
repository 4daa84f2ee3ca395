/**
 * Tries a request again where the cause passes by itself.
 *
 * @module
 */
import { pause } from "../../../api/abort.ts";
import { type Exchange, LostConnection } from "./connection.ts";
import type { RegistryLimits } from "./limits.ts";

/**
 * The answer of `attempt`, which is called again after a cut connection, 408, 429 (as long as the registry's
 * `Retry-After` is bearable) and, less often, 5xx. After the last try the bad answer itself is returned, or the
 * error thrown. Aborts and stalls are not tried again.
 */
export async function withAttempts(
  attempt: () => Promise<Exchange>,
  limits: RegistryLimits,
  signal: AbortSignal,
): Promise<Exchange> {
  let serverErrors = 0;
  for (let tries = 1;; tries++) {
    const delayMs = limits.retryDelayMs * 2 ** (tries - 1);
    let exchange: Exchange;
    try {
      exchange = await attempt();
    } catch (error) {
      if (!(error instanceof LostConnection) || error.kind !== "cut" || tries >= limits.triesMax) throw error;
      await pause(delayMs, signal);
      continue;
    }
    if (tries >= limits.triesMax) return exchange;
    if (exchange.status === 408 || exchange.status === 429) {
      const wantedMs = retryAfterMs(exchange.headers.get("retry-after")) ?? delayMs;
      if (wantedMs > limits.retryAfterMsMax) return exchange;
      exchange[Symbol.dispose]();
      await pause(wantedMs, signal);
    } else if (exchange.status >= 500 && serverErrors < limits.serverErrorRetriesMax) {
      serverErrors++;
      exchange[Symbol.dispose]();
      await pause(delayMs, signal);
    } else {
      return exchange;
    }
  }
}

/** Milliseconds of a `Retry-After` header: seconds or a date (RFC 9110, section 10.2.3); undefined for neither. */
export function retryAfterMs(header: string | null, nowMs = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}
