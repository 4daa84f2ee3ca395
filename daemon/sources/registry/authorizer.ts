/**
 * Answers a registry host's challenges and authorizes later requests up front.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Credentials } from "../source.ts";
import { type Challenge, parseChallenges, usableChallenge } from "./challenge.ts";
import type { Connections } from "./connection.ts";
import type { RegistryLimits } from "./limits.ts";
import { basic, fetchToken, type Token } from "./token.ts";

/** What an authorizer needs. */
export interface AuthorizerOptions {
  /** The login for this host, asked for once, and only when the host wants one. */
  readonly credentials: () => Promise<Credentials | undefined>;
  readonly secure: boolean;
  readonly connections: Connections;
  readonly limits: RegistryLimits;
}

/**
 * The authorization of one origin. It starts without knowledge, learns from the first 401 whether the host wants
 * Basic or Bearer, and then keeps the login or one token per set of scopes. Failures to get a token are kept too,
 * so that a hundred layers do not ask a hundred times for what is denied.
 */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  #credentials: Promise<Credentials | undefined> | undefined;
  #challenge: Challenge | undefined;
  readonly #tokens = new Map<string, Promise<Token>>();
  /** Name of the login that was sent, where one was ("" for an identity token). */
  login: string | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** The `Authorization` header for a request with these scopes, or undefined before the first challenge. */
  async header(scopes: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    if (this.#challenge === undefined) return undefined;
    if (this.#challenge.scheme === "basic") return await this.#basic();
    return `Bearer ${(await this.#token(this.#challenge, scopes, signal)).text}`;
  }

  /**
   * Learns from a 401. Answers whether the request is worth another try: not where no scheme of the host is
   * known, and not where a login was sent and refused. `sent` is the header that the refused request had.
   */
  async challenged(
    header: string | null,
    sent: string | undefined,
    scopes: readonly string[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const challenge = usableChallenge(parseChallenges(header ?? ""));
    if (challenge === undefined) return false;
    if (challenge.scheme === "basic") {
      if (sent !== undefined && this.#challenge?.scheme === "basic") return false;
      this.#challenge = challenge;
      return (await this.#basic()) !== undefined;
    }
    // A token that was refused is dropped; one that another request got meanwhile is used.
    if (sent !== undefined && sent === await this.header(scopes, signal)) this.#tokens.clear();
    this.#challenge = challenge;
    return true;
  }

  async #basic(): Promise<string | undefined> {
    const credentials = await this.#login();
    if (credentials === undefined || credentials.username === "" || credentials.password === "") return undefined;
    return basic(credentials);
  }

  async #login(): Promise<Credentials | undefined> {
    const credentials = await (this.#credentials ??= this.#options.credentials());
    this.login = credentials?.username;
    return credentials;
  }

  #token({ parameters }: Challenge, wanted: readonly string[], signal: AbortSignal): Promise<Token> {
    const challenged = (parameters.get("scope") ?? "").split(" ").filter((scope) => scope !== "");
    const scopes = [...new Set([...wanted, ...challenged])].sort();
    const realm = parameters.get("realm") ?? "";
    const service = parameters.get("service");
    const key = JSON.stringify([realm, service, scopes]);
    const known = this.#tokens.get(key);
    const token = known === undefined
      ? this.#fetch(realm, service, scopes, signal)
      : known.then((token) =>
        token.expiresAtMs > performance.now()
          ? token
          : this.#renewed(key, known, () => this.#fetch(realm, service, scopes, signal))
      );
    if (known === undefined) this.#keep(key, token);
    return token;
  }

  /** Of many requests that see the same token end, the first fetches a new one. */
  #renewed(key: string, old: Promise<Token>, fetch: () => Promise<Token>): Promise<Token> {
    const current = this.#tokens.get(key);
    if (current !== undefined && current !== old) return current;
    const token = fetch();
    this.#keep(key, token);
    return token;
  }

  #keep(key: string, token: Promise<Token>): void {
    this.#tokens.set(key, token);
    // What the authorization server says is kept; what broke on the way there may go better next time.
    token.catch((error) => {
      const isAnswer = error instanceof Failure && error.code === "Unauthenticated";
      if (!isAnswer && this.#tokens.get(key) === token) this.#tokens.delete(key);
    });
  }

  async #fetch(realm: string, service: string | undefined, scopes: string[], signal: AbortSignal): Promise<Token> {
    const { connections, limits, secure } = this.#options;
    return await fetchToken(
      { realm, service, scopes, credentials: await this.#login(), secure },
      connections,
      limits,
      signal,
    );
  }
}
