/**
 * The end of a server: what is being answered is answered, what would go on for ever is ended.
 *
 * @module
 */
import type { ServiceTable } from "../../api/rpc/definition.ts";

/** What is drained; the servers of gRPC and ttrpc are such. */
export interface Drainable {
  calls(): readonly { readonly path: string }[];
  /** Takes nothing new, and waits for the calls that run until the signal. */
  drain(signal: AbortSignal): Promise<void>;
}

/** Calls that answer once, but only when something happens. */
const waits = /\/Wait(Sandbox)?$/;

/** How often it is looked whether only such calls are left that would go on for ever. */
const lookMs = 10;

/**
 * Drains a server: calls that answer once may end until `signal` is aborted; when none of them is left, streams are
 * ended, since clients open them again elsewhere.
 */
export async function drainCalls(server: Drainable, services: ServiceTable, signal: AbortSignal): Promise<void> {
  const enough = new AbortController();
  const timer = setInterval(() => {
    if (server.calls().every(({ path }) => isEndless(path, services))) enough.abort();
  }, lookMs);
  try {
    await server.drain(AbortSignal.any([signal, enough.signal]));
  } finally {
    clearInterval(timer);
  }
}

function isEndless(path: string, services: ServiceTable): boolean {
  if (waits.test(path)) return true;
  const slash = path.lastIndexOf("/");
  const method = services.service(path.slice(1, slash))?.get(path.slice(slash + 1))?.definition;
  return method === undefined || method.requestStream || method.responseStream;
}
