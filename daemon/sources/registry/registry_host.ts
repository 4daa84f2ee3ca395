/**
 * One host that serves a registry's images: its address, its connections and its logins.
 *
 * @module
 */
import type { Reference } from "../reference.ts";
import type { Credentials } from "../source.ts";
import { Connections } from "./connection.ts";
import { apiHost, hostWithoutPort, portOf } from "./endpoint.ts";
import { dial } from "./hosts/dial.ts";
import type { HostEntry } from "./hosts/host_entry.ts";
import type { RegistryLimits } from "./limits.ts";
import { speaksTls } from "./probe.ts";
import { proxyFor } from "./proxy_for.ts";
import type { Subject } from "./refusal.ts";
import { Requester } from "./requester.ts";

/** What {@link RegistryHost} needs besides its entry. */
export interface RegistryHostOptions {
  readonly reference: Reference;
  readonly limits: RegistryLimits;
  readonly plainHttp: boolean;
  readonly certificateDirectories: readonly string[];
  /** The login for a host; `own` is the registry of the reference. */
  readonly credentials: (host: string, own: boolean) => Promise<Credentials | undefined>;
}

/** A host under way. */
export class RegistryHost implements Disposable {
  readonly requester: Requester;
  readonly #connections: Connections;
  readonly #options: RegistryHostOptions;
  #base: Promise<URL> | undefined;

  constructor(readonly entry: HostEntry, options: RegistryHostOptions) {
    const { limits, certificateDirectories, reference, credentials } = options;
    const { address, tls, headers } = entry;
    this.#options = options;
    this.#connections = new Connections({
      limits,
      plainHttp: address === undefined ? options.plainHttp : address.protocol === "http:",
      certificateDirectories,
      headers,
      ...(tls === undefined ? {} : { tls }),
    });
    this.requester = new Requester({
      connections: this.#connections,
      limits,
      scopes: [`repository:${reference.repository}:pull`],
      credentials: (url) => {
        // Compared as URLs, which drop a scheme's own port. Only the registry itself gets the caller's login.
        const own = url.host === new URL(`${url.protocol}//${apiHost(reference.host)}`).host;
        return credentials(url.host, own);
      },
    });
  }

  /** What is asked for, for sentences: of a mirror in the name of the mirror. */
  subject(part?: string): Subject {
    const { reference: { host, name } } = this.#options;
    return { image: name, host: this.entry.address?.host ?? host, ...(part === undefined ? {} : { part }) };
  }

  /** The URL of something of the repository. Throws `LostConnection` where the host cannot be reached. */
  async url(path: string, signal: AbortSignal): Promise<URL> {
    if (this.#base === undefined) {
      const base = this.#base = this.#findBase(signal);
      base.catch(() => this.#base = undefined);
    }
    const { host, repository } = this.#options.reference;
    const url = new URL(await this.#base);
    url.pathname = `${url.pathname.replace(/\/$/, "")}/${repository}/${path}`;
    // Mirrors of several registries tell by this whose image is meant.
    if (url.host !== new URL(`${url.protocol}//${apiHost(host)}`).host) url.searchParams.set("ns", host);
    return url;
  }

  async #findBase(signal: AbortSignal): Promise<URL> {
    const { address, tls, dialMsMax } = this.entry;
    let base: URL;
    if (address === undefined) {
      base = new URL("v2", await this.#connections.base(apiHost(this.#options.reference.host), signal));
    } else {
      // Who says how TLS is spoken wants it, where there is a choice.
      const chooses = address.protocol === "http:" && tls !== undefined && portOf(address) !== 80;
      base = new URL(address);
      if (chooses && await this.#speaksTls(address, signal)) base = new URL(address.href.replace(/^http:/, "https:"));
    }
    // Through a proxy nothing is dialled from here.
    if (dialMsMax !== undefined && proxyFor(base) === undefined) await dial(base, dialMsMax, signal);
    return base;
  }

  async #speaksTls(address: URL, signal: AbortSignal): Promise<boolean> {
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(this.#options.limits.stallMs)]);
      return await speaksTls(hostWithoutPort(address.host).replace(/^\[|\]$/g, ""), portOf(address), limit);
    } catch {
      signal.throwIfAborted();
      // The request itself will say what is wrong.
      return false;
    }
  }

  [Symbol.dispose](): void {
    this.#connections[Symbol.dispose]();
  }
}
