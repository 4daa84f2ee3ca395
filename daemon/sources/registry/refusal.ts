/**
 * What went wrong with a registry, as one sentence that names the image and what to do.
 *
 * @module
 */
import { type Code, Failure } from "../../../api/errors.ts";
import type { Exchange, LostConnection } from "./connection.ts";

/** What was asked for, for sentences. */
export interface Subject {
  /** Full name of the image. */
  readonly image: string;
  /** The registry as in the image's name. */
  readonly host: string;
  /** The part of the image that was asked for, such as `layer sha256:…`; undefined for the image itself. */
  readonly part?: string;
}

/** Error bodies are read up to here; registries send some hundred bytes of JSON. */
const errorBytesMax = 64 * 1024;

/** The reason that the registry gives in its answer, in brackets after the status, fit to be shown. */
async function reason(exchange: Exchange): Promise<string> {
  let said = "";
  if (exchange.headers.get("content-type")?.includes("json")) {
    try {
      said = detailOf(JSON.parse(new TextDecoder().decode(await exchange.bytes(errorBytesMax))));
    } catch {
      // A body that is broken, endless or no JSON tells nothing; the status still does.
    }
  }
  // deno-lint-ignore no-control-regex -- a stranger's text must not drive the terminal
  const shown = said.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ").slice(0, 200).trim();
  return `(${exchange.status}${shown === "" ? "" : ` ${shown}`})`;
}

/** `errors[].message` of the distribution specification, or the `message`/`details` of token servers. */
function detailOf(body: unknown): string {
  if (typeof body !== "object" || body === null) return "";
  const { errors, message, details }: { errors?: unknown; message?: unknown; details?: unknown } = body;
  if (Array.isArray(errors)) {
    return errors.slice(0, 3).map((entry: { code?: unknown; message?: unknown } | null) =>
      entry?.message || entry?.code
    ).filter((text) => typeof text === "string").join("; ");
  }
  return typeof message === "string" ? message : typeof details === "string" ? details : "";
}

/** The failure for an answer that is no success. `login` is the user that was sent, where one was. */
export async function refusal(exchange: Exchange, subject: Subject, login?: string): Promise<Failure> {
  const { image, host, part } = subject;
  const why = await reason(exchange);
  const fail = (code: Code, text: string) => new Failure(code, `cannot pull ${image}: ${text}`);
  switch (exchange.status) {
    case 404:
      return part === undefined
        ? fail("NotFound", `${host} has no such image ${why}: check the name and the tag`)
        : fail("NotFound", `${host} does not have its ${part} ${why}: the image is incomplete there, push it again`);
    case 401:
      return fail("Unauthenticated", `${host} denies access ${why}: ${loginAdvice(host, login)}`);
    case 403:
      return fail("PermissionDenied", `${host} denies access ${why}: ${loginAdvice(host, login)}`);
    case 400:
      return exchange.url.protocol === "http:"
        ? fail("FailedPrecondition", `${host} does not accept plain HTTP ${why}: leave --plain-http out if it has TLS`)
        : fail("InvalidArgument", `${host} does not accept the request ${why}: check the name`);
    case 408:
      return fail("DeadlineExceeded", `${host} gave the request up ${why}: try again`);
    case 429: {
      const after = exchange.headers.get("retry-after");
      const wait = after !== null && /^\d+$/.test(after) ? `try again in ${after} s` : "try again later";
      return fail(
        "ResourceExhausted",
        `${host} limits the rate of requests ${why}: ${wait}, or log in for a higher limit`,
      );
    }
    default:
      return exchange.status >= 500
        ? fail("Unavailable", `${host} is in trouble ${why}: try again later`)
        : fail("Unknown", `${host} answers ${why.slice(1, -1)}, which is not expected: check that it is a registry`);
  }
}

/** What to do about a denied access. */
export function loginAdvice(host: string, login: string | undefined): string {
  return login === undefined
    ? `the image may not exist, or needs a login: docker login ${host}`
    : `the image may not exist, or is not for ${login === "" ? "this token" : `user ${login}`}: docker login ${host}`;
}

/** The failure for an exchange without answer. */
export function unreachable(lost: LostConnection, subject: Subject): Failure {
  const { image } = subject;
  const fail = (code: Code, text: string) => new Failure(code, `cannot pull ${image}: ${text}`, { cause: lost });
  switch (lost.kind) {
    case "certificate":
      return fail(
        "FailedPrecondition",
        `the certificate of ${lost.message} is not accepted: put its authority into /etc/docker/certs.d/${lost.host}/ca.crt` +
          (lost.message.includes("CaUsedAsEndEntity")
            ? " and give the server a certificate that is not an authority's own (no CA:TRUE)"
            : " or SSL_CERT_FILE, or use --plain-http if the registry has no TLS"),
      );
    case "not-tls":
      return fail("FailedPrecondition", `${lost.message}: if the registry has no TLS, use --plain-http`);
    case "name":
      return fail("Unavailable", `${lost.message}: check the registry's name and this machine's DNS`);
    case "blocked":
      return fail("InvalidArgument", `${lost.message}: serve the registry on another port`);
    case "refused":
      return fail("Unavailable", `cannot reach ${lost.message}: check that the registry runs and the network is up`);
    case "cut":
      return fail("Unavailable", `the connection was cut (${lost.message}): try again`);
  }
}
