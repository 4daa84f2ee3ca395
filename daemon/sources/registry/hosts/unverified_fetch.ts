/**
 * HTTPS with a server whose certificate is not looked at: `fetch` has no way to do so for one client only.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";

/** What goes over the wire, and the client's certificate in PEM. */
export interface UnverifiedRequest {
  readonly method: string;
  readonly headers: Headers;
  readonly body?: string;
  readonly signal: AbortSignal;
  readonly client?: { readonly cert: string; readonly key: string };
}

/** As `fetch` with redirects left to the caller. Proxies of the environment are not used. */
export async function fetchUnverified(url: URL, request: UnverifiedRequest): Promise<Response> {
  const [{ request: open }, { Readable }] = await Promise.all([import("node:https"), import("node:stream")]);
  const { method, headers, body, signal, client } = request;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const call = open(url, {
    method,
    headers: Object.fromEntries(headers),
    rejectUnauthorized: false,
    signal,
    ...client,
  }, resolve);
  call.on("error", reject);
  call.end(body);
  let message: IncomingMessage;
  try {
    message = await promise;
  } catch (cause) {
    // As fetch fails, so that its errors are told apart in one place.
    throw new TypeError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
  const status = message.statusCode ?? 0;
  const answer = new Headers();
  for (let at = 0; at + 1 < message.rawHeaders.length; at += 2) {
    answer.append(message.rawHeaders[at]!, message.rawHeaders[at + 1]!);
  }
  const isEmpty = method === "HEAD" || status === 204 || status === 304;
  if (isEmpty) message.resume();
  // Node's stream type and the platform's are the same thing by two names.
  const stream = isEmpty ? null : Readable.toWeb(message) as unknown as ReadableStream<Uint8Array>;
  return new Response(stream, { status, headers: answer });
}
