/**
 * The in-process transport: a client that calls a service directly, without bytes.
 *
 * @module
 */
import type { CallContext } from "./context.ts";
import type { CallOptions, ClientOf, ServiceDefinition, ServiceOf } from "./definition.ts";

/**
 * A client of a service in this process. `metadata` goes with each call. Messages are passed on as they are: neither
 * side may change them. Failures are thrown as the service threw them.
 */
export function inProcess<D extends ServiceDefinition>(
  definition: D,
  service: ServiceOf<D>,
  metadata: Readonly<Record<string, string>> = {},
): ClientOf<D> {
  const calls = Object.entries(definition.methods).map(([key, { responseStream }]) => {
    // By the type of `service`, the method is there and takes this request.
    const handler = service[key] as (request: unknown, context: CallContext) => unknown;
    const call = (request: unknown, options: CallOptions = {}) =>
      handler.call(service, request, contextOf(metadata, options));
    // A handler may throw at once; callers expect a promise.
    return [key, responseStream ? call : async (...args: Parameters<typeof call>) => await call(...args)] as const;
  });
  // One function for each method of the definition, which is what ClientOf says.
  return Object.fromEntries(calls) as unknown as ClientOf<D>;
}

function contextOf(metadata: Readonly<Record<string, string>>, options: CallOptions): CallContext {
  const signals: AbortSignal[] = [];
  if (options.signal !== undefined) signals.push(options.signal);
  if (options.timeoutMs !== undefined) signals.push(AbortSignal.timeout(options.timeoutMs));
  return {
    metadata: new Map(Object.entries({ ...metadata, ...options.metadata })),
    signal: AbortSignal.any(signals),
    peer: { address: "in-process" },
  };
}
