/**
 * Bearer tokens from a registry's authorization server (distribution's token and OAuth2 specifications).
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Credentials } from "../source.ts";
import { withAttempts } from "./attempts.ts";
import type { Connections, Exchange } from "./connection.ts";
import { isLoopback, shownUrl } from "./endpoint.ts";
import type { RegistryLimits } from "./limits.ts";

/** A token and the time (of `performance.now()`) from which it is not to be used any more. */
export interface Token {
  readonly text: string;
  readonly expiresAtMs: number;
}

/** What to ask a token for. */
export interface TokenRequest {
  /** URL of the authorization server. */
  readonly realm: string;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
  /** Whether the registry itself is spoken to by HTTPS: its secrets then go nowhere without. */
  readonly secure: boolean;
}

/** Tokens are a few kB; some hold the list of all rights of a user. */
const tokenBytesMax = 1024 * 1024;

/** A token is dropped this early, so that it does not end while a request is under way. */
const earlyMs = 5_000;

/**
 * Fetches a token: with a login by POST, then by GET where the server has no POST; without one anonymously by GET.
 * Throws a failure whose message is to be completed by the name of the image.
 */
export async function fetchToken(
  request: TokenRequest,
  connections: Connections,
  limits: RegistryLimits,
  signal: AbortSignal,
): Promise<Token> {
  const { credentials } = request;
  const realm = realmOf(request, connections);
  const send = (attempt: () => Promise<Exchange>) => withAttempts(attempt, limits, signal);
  if (credentials !== undefined) {
    using posted = await send(() => postForm(realm, request, credentials, connections, signal));
    if (posted.status === 200) return await readToken(posted, "failed to fetch oauth token: ");
    const hasNoPost = [400, 401, 404].includes(posted.status) || (posted.status >= 300 && posted.status < 400) ||
      (posted.status === 405 && credentials.username !== "");
    if (!hasNoPost || credentials.username === "") throw denied(posted, credentials);
  }
  using got = await send(() => getQuery(realm, request, connections, limits, signal));
  if (got.status !== 200) throw denied(got, credentials);
  return await readToken(
    got,
    credentials === undefined ? "failed to fetch anonymous token: " : "failed to fetch oauth token: ",
  );
}

function realmOf({ realm, credentials, secure }: TokenRequest, connections: Connections): URL {
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new Failure("FailedPrecondition", `its token server "${realm.slice(0, 200)}" is no http address`);
  }
  if (
    url.protocol === "http:" && credentials !== undefined && (secure || !connections.mayUse(url)) &&
    !isLoopback(url.host)
  ) {
    throw new Failure("FailedPrecondition", `its token server ${shownUrl(url)} wants the login without TLS`);
  }
  return url;
}

function postForm(
  url: URL,
  { service, scopes }: TokenRequest,
  { username, password }: Credentials,
  connections: Connections,
  signal: AbortSignal,
): Promise<Exchange> {
  const form = new URLSearchParams({ scope: scopes.join(" "), client_id: "containerd-client" });
  if (service !== undefined) form.set("service", service);
  if (username === "") {
    form.set("grant_type", "refresh_token");
    form.set("refresh_token", password);
  } else {
    form.set("grant_type", "password");
    form.set("username", username);
    form.set("password", password);
  }
  const headers = { "Content-Type": "application/x-www-form-urlencoded; charset=utf-8", Accept: "application/json" };
  return connections.exchange({ method: "POST", url, headers, body: form.toString() }, signal);
}

async function getQuery(
  realm: URL,
  { service, scopes, credentials }: TokenRequest,
  connections: Connections,
  limits: RegistryLimits,
  signal: AbortSignal,
): Promise<Exchange> {
  let url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  for (let hops = 0; hops <= limits.redirectsMax; hops++) {
    const mayKnow = credentials !== undefined && url.origin === realm.origin;
    const headers = { Accept: "application/json", ...(mayKnow ? { Authorization: basic(credentials) } : {}) };
    const exchange = await connections.exchange({ method: "GET", url, headers }, signal);
    const location = exchange.headers.get("location");
    if (exchange.status < 300 || exchange.status >= 400 || location === null) return exchange;
    exchange[Symbol.dispose]();
    url = new URL(location, url);
  }
  throw new Failure("Unavailable", `its token server ${shownUrl(realm)} redirects without end`);
}

/** The value of a basic `Authorization` header (RFC 7617, UTF-8). */
export function basic({ username, password }: Credentials): string {
  return `Basic ${new TextEncoder().encode(`${username}:${password}`).toBase64()}`;
}

function denied(exchange: Exchange, credentials: Credentials | undefined): Failure {
  const server = shownUrl(exchange.url);
  if (exchange.status === 429) {
    return new Failure("ResourceExhausted", `its token server ${server} limits the rate of requests (429)`);
  }
  if (exchange.status >= 500) {
    return new Failure("Unavailable", `its token server ${server} is in trouble (${exchange.status})`);
  }
  if (credentials === undefined) {
    return new Failure("Unauthenticated", `failed to fetch anonymous token: ${server} answers ${exchange.status}`);
  }
  const who = credentials.username === "" ? "the identity token" : `user ${credentials.username}`;
  return new Failure("Unauthenticated", `failed to fetch oauth token: ${server} refuses ${who} (${exchange.status})`);
}

async function readToken(exchange: Exchange, prefix: string): Promise<Token> {
  let answer: { access_token?: unknown; token?: unknown; expires_in?: unknown };
  try {
    answer = JSON.parse(new TextDecoder().decode(await exchange.bytes(tokenBytesMax))) ?? {};
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // No cause: the parser's message may quote the answer, and with it a token.
    throw new Failure("Unavailable", `${prefix}${shownUrl(exchange.url)} answers with something that is not JSON`);
  }
  const text = [answer.access_token, answer.token].find((value) => typeof value === "string" && value !== "");
  if (typeof text !== "string") {
    throw new Failure("Unavailable", `${prefix}authorization server did not include a token in the response`);
  }
  // A header can hold no control characters: such a token would fail each request with a puzzling error.
  if (!/^[\x21-\x7e]+$/.test(text)) throw new Failure("Unavailable", `${prefix}the token is no single word`);
  const seconds = typeof answer.expires_in === "number" && answer.expires_in > 0 ? answer.expires_in : Infinity;
  return { text, expiresAtMs: performance.now() + seconds * 1000 - Math.min(earlyMs, seconds * 500) };
}
