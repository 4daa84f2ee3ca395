/**
 * HTTP exchanges with deadlines: the only user of `fetch`.
 *
 * @module
 */
import { untilAborted } from "../../../api/abort.ts";
import { concatBytes } from "../../../api/bytes.ts";
import { Failure, messageOf } from "../../../api/errors.ts";
import { type Certificates, readCertificates } from "./certificates.ts";
import { hostWithoutPort, isLoopback, shownUrl } from "./endpoint.ts";
import type { HostTls } from "./hosts/host_entry.ts";
import { addHostTls } from "./hosts/read_tls.ts";
import type { RegistryLimits } from "./limits.ts";
import { speaksTls } from "./probe.ts";
import { createClient } from "./proxy.ts";

/** Why no answer came: `cut` is worth another try, the others are not. */
export type LostKind = "cut" | "refused" | "name" | "certificate" | "not-tls" | "blocked";

/** An exchange that broke below HTTP. */
export class LostConnection extends Error {
  override readonly name = "LostConnection";
  readonly kind: LostKind;
  /** The host that was spoken to, with its port. */
  readonly host: string;

  constructor(kind: LostKind, host: string, detail: string, cause?: unknown) {
    super(`${host}: ${detail}`, { cause });
    this.kind = kind;
    this.host = host;
  }
}

/** One request as it goes over the wire. */
export interface WireRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Whether it goes elsewhere than to the host and its token server, so that the host's headers are left out. */
  readonly foreign?: boolean;
}

/** A document may take as long as so many stalls, however regularly its bytes come. */
const documentStalls = 5;

/** An answer's head, and its body to be read; dispose it to hang up. */
export class Exchange implements Disposable {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly #body: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #hangUp: AbortController;
  readonly #signal: AbortSignal;
  readonly #stallMs: number;
  readonly #ended: AbortSignal;
  /** A pending read does not hear of an abort (Deno 2.9): only a cancellation ends it, as if the body were at its end. */
  readonly #cancel = (): void => {
    // The reader may be idle or done; in both cases nobody waits for the outcome of the cancellation.
    this.#body?.cancel().catch(() => {});
  };

  constructor(url: URL, response: Response, hangUp: AbortController, signal: AbortSignal, stallMs: number) {
    this.url = url;
    this.status = response.status;
    this.headers = response.headers;
    this.#body = response.body?.getReader();
    this.#hangUp = hangUp;
    this.#signal = signal;
    this.#stallMs = stallMs;
    this.#ended = AbortSignal.any([signal, hangUp.signal]);
    this.#ended.addEventListener("abort", this.#cancel, { once: true });
  }

  /**
   * The next piece of the body, or undefined at its end. Throws {@link LostConnection} when the line is cut,
   * `DeadlineExceeded` when nothing comes for too long, and the caller's reason when the caller aborts.
   */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#body === undefined) return undefined;
    const timer = stallTimer(this.#hangUp, this.#stallMs, this.url);
    try {
      this.#ended.throwIfAborted();
      const { value } = await this.#body.read();
      this.#ended.throwIfAborted();
      return value;
    } catch (error) {
      throw lost(error, this.#hangUp.signal, this.#signal, this.url);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * The whole body. Throws `ResourceExhausted` as soon as it is longer than `bytesMax`, `DeadlineExceeded` also where it
   * comes in drops.
   */
  async bytes(bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    const endsAtMs = performance.now() + this.#stallMs * documentStalls;
    for (let piece = await this.next(); piece !== undefined; piece = await this.next()) {
      length += piece.length;
      if (performance.now() > endsAtMs) {
        const seconds = this.#stallMs * documentStalls / 1000;
        throw new Failure(
          "DeadlineExceeded",
          `${shownUrl(this.url)} sends ${length} bytes in ${seconds} s, and no end`,
        );
      }
      if (length > bytesMax) {
        throw new Failure("ResourceExhausted", `${shownUrl(this.url)} sends more than ${bytesMax} bytes`);
      }
      pieces.push(piece);
    }
    return concatBytes(pieces);
  }

  [Symbol.dispose](): void {
    this.#ended.removeEventListener("abort", this.#cancel);
    this.#cancel();
    this.#hangUp.abort(new DOMException("no longer wanted", "AbortError"));
  }
}

/** Options of {@link Connections}. */
export interface ConnectionOptions {
  readonly limits: RegistryLimits;
  readonly plainHttp: boolean;
  readonly certificateDirectories: readonly string[];
  /** How TLS is spoken, besides what lies in the directories. */
  readonly tls?: HostTls;
  /** Added to each request that is not foreign. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
}

/** The HTTP clients of one image source, one for each host, so that a host's certificates stay its own. */
export class Connections implements Disposable {
  readonly #options: ConnectionOptions;
  readonly #clients = new Map<string, Deno.HttpClient>();
  readonly #bases = new Map<string, Promise<URL>>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /**
   * Where a registry host is spoken to. HTTPS, or HTTP where the user allows it; a registry on loopback is
   * asked which of both it speaks, as nothing sent there leaves the machine.
   */
  base(host: string, signal: AbortSignal): Promise<URL> {
    let base = this.#bases.get(host);
    if (base === undefined) {
      base = this.#findBase(host, signal);
      this.#bases.set(host, base);
      base.catch(() => this.#bases.delete(host));
    }
    return base;
  }

  async #findBase(host: string, signal: AbortSignal): Promise<URL> {
    if (this.#options.plainHttp) return new URL(`http://${host}/`);
    const secure = new URL(`https://${host}/`);
    if (!isLoopback(host)) return secure;
    const hasPort = host !== hostWithoutPort(host);
    const hangUp = new AbortController();
    const timer = stallTimer(hangUp, this.#options.limits.stallMs, secure);
    try {
      const hostname = hostWithoutPort(host).replace(/^\[|\]$/g, "");
      const port = hasPort ? Number(host.slice(host.lastIndexOf(":") + 1)) : 443;
      const isTls = await speaksTls(hostname, port, AbortSignal.any([signal, hangUp.signal]));
      return isTls ? secure : new URL(`http://${host}/`);
    } catch (error) {
      signal.throwIfAborted();
      hangUp.signal.throwIfAborted();
      // Without a port in the name the two kinds have different ones: what is not at 443 may be at 80.
      if (!hasPort) return new URL(`http://${host}/`);
      if (error instanceof Deno.errors.ConnectionRefused) {
        throw new LostConnection("refused", host, messageOf(error), error);
      }
      throw new LostConnection("name", host, messageOf(error), error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether `url` may be spoken to at all: HTTPS always, HTTP on loopback or where the user allows it. */
  mayUse(url: URL): boolean {
    return url.protocol === "https:" ||
      (url.protocol === "http:" && (this.#options.plainHttp || isLoopback(url.host)));
  }

  /**
   * Sends a request; redirects are the caller's to follow. Throws {@link LostConnection} where no answer comes,
   * `DeadlineExceeded` where none comes in time.
   */
  async exchange(request: WireRequest, signal: AbortSignal): Promise<Exchange> {
    const { method, url, body } = request;
    const hangUp = new AbortController();
    const either = AbortSignal.any([signal, hangUp.signal]);
    const timer = stallTimer(hangUp, this.#options.limits.stallMs, url);
    try {
      signal.throwIfAborted();
      const sent = this.#send(url, {
        method,
        headers: this.#headers(request),
        ...(body === undefined ? {} : { body }),
        signal: either,
      });
      const response = await untilAborted(sent, either, (late) => late.body?.cancel().catch(() => {}));
      return new Exchange(url, response, hangUp, signal, this.#options.limits.stallMs);
    } catch (error) {
      throw lost(error, hangUp.signal, signal, url);
    } finally {
      clearTimeout(timer);
    }
  }

  #headers({ headers, foreign }: WireRequest): Headers {
    const all = new Headers({ "User-Agent": "barge/0.1.0" });
    for (const [name, value] of foreign === true ? [] : this.#options.headers ?? []) {
      if (name.toLowerCase() === "user-agent") all.set(name, value);
      else all.append(name, value);
    }
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    return all;
  }

  async #send(
    url: URL,
    request: { method: string; headers: Headers; body?: string; signal: AbortSignal },
  ): Promise<Response> {
    if (url.protocol === "https:" && this.#options.tls?.skipVerify === true) {
      const { fetchUnverified } = await import("./hosts/unverified_fetch.ts");
      const { client } = this.#certificates(url);
      return await fetchUnverified(url, { ...request, ...(client === undefined ? {} : { client }) });
    }
    return await fetch(url, { ...request, redirect: "manual", client: this.#client(url) });
  }

  #client(url: URL): Deno.HttpClient {
    let client = this.#clients.get(url.origin);
    if (client === undefined) {
      client = this.#open(url);
      this.#clients.set(url.origin, client);
    }
    return client;
  }

  #open(url: URL): Deno.HttpClient {
    const certificates = this.#tls(url);
    try {
      return createClient(url, { http2: false, ...certificates });
    } catch (cause) {
      throw new Failure(
        "FailedPrecondition",
        `the certificates for ${url.host} cannot be used: ${messageOf(cause)}: check SSL_CERT_FILE and the folders ` +
          `${this.#options.certificateDirectories.map((directory) => `${directory}/${url.host}`).join(", ")}`,
        { cause },
      );
    }
  }

  #tls(url: URL): { caCerts?: string[]; cert?: string; key?: string } {
    if (url.protocol !== "https:") return {};
    const { authorities, client } = this.#certificates(url);
    return { caCerts: authorities, ...client };
  }

  #certificates(url: URL): Certificates {
    const { certificateDirectories, tls } = this.#options;
    const trusted = readCertificates(url.host, certificateDirectories);
    return tls === undefined ? trusted : addHostTls(trusted, tls);
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

function stallTimer(hangUp: AbortController, stallMs: number, url: URL): ReturnType<typeof setTimeout> {
  return setTimeout(() =>
    hangUp.abort(
      new Failure("DeadlineExceeded", `${url.host} sent nothing for ${stallMs / 1000} s`),
    ), stallMs);
}

/** The error of a broken exchange: an abort's own reason, or what `fetch` hides in the cause of its error. */
function lost(error: unknown, hangUp: AbortSignal, caller: AbortSignal, url: URL): unknown {
  if (caller.aborted) return caller.reason;
  if (hangUp.aborted) return hangUp.reason;
  if (!(error instanceof TypeError)) return error;
  const detail = error.cause === undefined ? error.message : messageOf(error.cause);
  // The front part repeats the URL, whose query may hold a signature.
  const short = detail.replace(/^error sending request .*?: client error \(\w+\): /, "");
  return new LostConnection(lostKind(detail), url.host, short, error);
}

/** Deno gives no codes: the texts are those of hyper, rustls and the system (Deno 2.9). */
function lostKind(detail: string): LostKind {
  if (/invalid peer certificate|UnknownIssuer|certificate/i.test(detail)) return "certificate";
  if (/InvalidContentType|corrupt message|handshake eof|HandshakeFailure|ProtocolVersion/i.test(detail)) {
    return "not-tls";
  }
  if (/dns error/i.test(detail)) return "name";
  if (/ports? \d+ (is|are) blocked/i.test(detail)) return "blocked";
  if (/tcp connect error|refused|unreachable|no route/i.test(detail)) return "refused";
  return "cut";
}
