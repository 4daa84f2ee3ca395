/**
 * Requests to a registry: authorized, redirected, tried again, and ended by a clear sentence.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Credentials } from "../source.ts";
import { withAttempts } from "./attempts.ts";
import { Authorizer } from "./authorizer.ts";
import { type Connections, type Exchange, LostConnection } from "./connection.ts";
import { shownUrl } from "./endpoint.ts";
import type { RegistryLimits } from "./limits.ts";
import { refusal, type Subject, unreachable } from "./refusal.ts";

/** One request as its caller sees it. */
export interface RegistryRequest {
  readonly method: "GET" | "HEAD";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly subject: Subject;
  /** Sent to the host only, and not to where it redirects to. */
  readonly ownHeaders?: Readonly<Record<string, string>>;
  /** Whether the login may be used; not for the foreign addresses that a manifest names. */
  readonly anonymous?: boolean;
}

/** Options of {@link Requester}. */
export interface RequesterOptions {
  readonly connections: Connections;
  readonly limits: RegistryLimits;
  /** Rights that every token is asked for. */
  readonly scopes: readonly string[];
  /** The login for the host of a URL. */
  readonly credentials: (url: URL) => Promise<Credentials | undefined>;
}

/** A token may have ended: one new one is tried; then the refusal is final. */
const challengesMax = 2;

/** Sends the requests of one image source. */
export class Requester {
  readonly #options: RequesterOptions;
  readonly #authorizers = new Map<string, Authorizer>();

  constructor(options: RequesterOptions) {
    this.#options = options;
  }

  /**
   * The answer with a 2xx status; any other becomes a failure, except the ones in `expected`, which are
   * returned. The caller disposes the exchange.
   */
  async send(request: RegistryRequest, signal: AbortSignal, expected: readonly number[] = []): Promise<Exchange> {
    const { subject } = request;
    let exchange: Exchange;
    try {
      exchange = await this.#follow(request, signal);
    } catch (error) {
      throw this.sentence(error, subject);
    }
    const { status } = exchange;
    if ((status >= 200 && status < 300) || expected.includes(status)) return exchange;
    using _ = exchange;
    const refused = await refusal(exchange, subject, this.#authorizers.get(exchange.url.origin)?.login);
    // What the answer says in its body may have been waited for in vain.
    signal.throwIfAborted();
    throw refused;
  }

  /** An error from below as a failure that names the image. */
  sentence(error: unknown, subject: Subject): unknown {
    if (error instanceof LostConnection) return unreachable(error, subject);
    if (!(error instanceof Failure) || error.message.startsWith("cannot pull ")) return error;
    return new Failure(error.code, `cannot pull ${subject.image}: ${error.message}`, { cause: error });
  }

  /** Follows redirects. Each host is authorized by what it asked for itself, so no login follows to another. */
  async #follow(request: RegistryRequest, signal: AbortSignal): Promise<Exchange> {
    const { limits, connections } = this.#options;
    let url = request.url;
    for (let hops = 0; hops <= limits.redirectsMax; hops++) {
      const exchange = await this.#authorized(request, url, hops > 0, signal);
      const location = exchange.headers.get("location");
      if (![301, 302, 303, 307, 308].includes(exchange.status) || location === null) return exchange;
      exchange[Symbol.dispose]();
      if (!URL.canParse(location, url.href)) {
        throw new Failure("Unavailable", `${shownUrl(url)} redirects to a bad address`);
      }
      const target = new URL(location, url);
      if (!connections.mayUse(target)) {
        throw new Failure("FailedPrecondition", `${shownUrl(url)} redirects to ${shownUrl(target)}, which has no TLS`);
      }
      url = target;
    }
    throw new Failure("Unavailable", `${shownUrl(request.url)} redirects more than ${limits.redirectsMax} times`);
  }

  async #authorized(request: RegistryRequest, url: URL, redirected: boolean, signal: AbortSignal): Promise<Exchange> {
    const { connections, limits } = this.#options;
    const authorizer = request.anonymous === true ? undefined : this.#authorizer(url);
    const strays = redirected && url.origin !== request.url.origin;
    const scopes = strays ? [] : this.#options.scopes;
    const foreign = strays || request.anonymous === true;
    const given = foreign ? request.headers : { ...request.ownHeaders, ...request.headers };
    for (let challenges = 0;; challenges++) {
      const authorization = await authorizer?.header(scopes, signal);
      const headers = { ...given, ...(authorization === undefined ? {} : { Authorization: authorization }) };
      const exchange = await withAttempts(
        () => connections.exchange({ method: request.method, url, headers, foreign }, signal),
        limits,
        signal,
      );
      if (exchange.status !== 401 || authorizer === undefined || challenges >= challengesMax) return exchange;
      const header = exchange.headers.get("www-authenticate");
      try {
        if (!await authorizer.challenged(header, authorization, scopes, signal)) return exchange;
      } catch (error) {
        exchange[Symbol.dispose]();
        throw error;
      }
      exchange[Symbol.dispose]();
    }
  }

  #authorizer(url: URL): Authorizer {
    let authorizer = this.#authorizers.get(url.origin);
    if (authorizer === undefined) {
      const { connections, limits, credentials } = this.#options;
      authorizer = new Authorizer({
        credentials: () => credentials(url),
        secure: url.protocol === "https:",
        connections,
        limits,
      });
      this.#authorizers.set(url.origin, authorizer);
    }
    return authorizer;
  }
}
