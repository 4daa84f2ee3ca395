/**
 * Which proxy the environment names for a URL, decided as Go's programs do, containerd and docker among them
 * (golang.org/x/net/http/httpproxy).
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { isLoopback, portOf } from "./endpoint.ts";
import { type Address, contains, parseAddress, parseNetwork } from "./ip_address.ts";

/** A variable of the environment; undefined where it is not set. */
export type Variable = (name: string) => string | undefined;

/**
 * The proxy for the URL; undefined where it is to be spoken to directly. Throws `FailedPrecondition` where a proxy is
 * named by what may be a header of a request to a CGI program.
 */
export function proxyFor(url: URL, variable: Variable = (name) => Deno.env.get(name)): string | undefined {
  const any = (...names: string[]) => names.map(variable).find((value) => value !== undefined && value !== "");
  const isSecure = url.protocol === "https:";
  const proxy = isSecure ? any("HTTPS_PROXY", "https_proxy") : any("HTTP_PROXY", "http_proxy");
  if (proxy === undefined || isLoopback(url.host)) return undefined;
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const port = String(portOf(url));
  const address = parseAddress(hostname);
  const entries = (any("NO_PROXY", "no_proxy") ?? "").split(",").map((entry) => entry.trim().toLowerCase());
  if (entries.some((entry) => matches(entry, { name: hostname, address, port }))) return undefined;
  if (!isSecure && any("REQUEST_METHOD") !== undefined) {
    throw new Failure(
      "FailedPrecondition",
      `HTTP_PROXY is not used in the environment of a CGI program, where a client may have set it: unset REQUEST_METHOD`,
    );
  }
  // What is not a URL is a host with its port.
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
}

interface Target {
  readonly name: string;
  readonly address: Address | undefined;
  readonly port: string;
}

/** Whether an entry of `NO_PROXY` is about the target. */
function matches(entry: string, { name, address, port }: Target): boolean {
  if (entry === "*") return true;
  const network = parseNetwork(entry);
  if (network !== undefined) return address !== undefined && contains(network, address);
  const { host, port: wanted } = split(entry);
  if (host === "" || (wanted !== "" && wanted !== port)) return false;
  const wantedAddress = parseAddress(host);
  if (wantedAddress !== undefined) {
    return address !== undefined && address.bits === wantedAddress.bits && address.value === wantedAddress.value;
  }
  const domain = host.startsWith("*.") ? host.slice(1) : host;
  // With a dot in front it is about what lies below the name only.
  if (domain.startsWith(".")) return name.endsWith(canonical(domain.slice(1), "."));
  return name === canonical(domain) || name.endsWith(canonical(domain, "."));
}

/** As Go splits: what has no port, or more colons than one outside of brackets, is a host as a whole. */
function split(entry: string): { host: string; port: string } {
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(entry);
  return match === null ? { host: entry, port: "" } : { host: match[1] ?? match[2] ?? "", port: match[3] ?? "" };
}

/** A name as URLs have it: in ASCII. */
function canonical(name: string, before = ""): string {
  return before + (URL.canParse(`http://${name}`) ? new URL(`http://${name}`).hostname : name);
}
