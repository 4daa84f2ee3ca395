/**
 * Keeps loopback away from the proxies that the environment names.
 *
 * @module
 */
import { hostWithoutPort, isLoopback } from "./endpoint.ts";

const exceptionVariables = ["NO_PROXY", "no_proxy"];

/**
 * Makes an HTTP client for a host. A proxy elsewhere cannot reach this machine's loopback, so other registry clients
 * never use one for it; Deno does, unless `NO_PROXY` says otherwise while the client is made. The variable is
 * restored before anybody else can see it, as nothing here waits.
 */
export function createClient(host: string, options: Deno.CreateHttpClientOptions): Deno.HttpClient {
  if (!isLoopback(host)) return Deno.createHttpClient(options);
  const before = exceptionVariables.map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const name of exceptionVariables) Deno.env.set(name, hostWithoutPort(host).replace(/^\[|\]$/g, ""));
    return Deno.createHttpClient(options);
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}
