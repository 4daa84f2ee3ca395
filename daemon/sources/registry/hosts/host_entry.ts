/**
 * One place that serves a registry's images, as `hosts.toml` describes it.
 *
 * @module
 */

/** Files of a client's certificate and its key; the same file twice where it holds both. */
export interface ClientPair {
  readonly certificate: string;
  readonly key: string;
}

/** How TLS is spoken with a host, besides the system's authorities. */
export interface HostTls {
  /** Files of authorities in PEM. */
  readonly authorities: readonly string[];
  readonly client?: ClientPair;
  /** Whether any certificate is taken. */
  readonly skipVerify?: boolean;
}

/** A host to ask. */
export interface HostEntry {
  /** Where its API begins, without a slash at its end; undefined is the registry's own address. */
  readonly address?: URL;
  /** Whether it may say which content a tag means. */
  readonly resolves: boolean;
  /** Whether content may be fetched from it. */
  readonly pulls: boolean;
  /** Added to each request to it and to its token server. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly tls?: HostTls;
  /** Longest wait for its first connection, in milliseconds. */
  readonly dialMsMax?: number;
}

/** The registry itself, with nothing said of it. */
export const registryItself: HostEntry = { resolves: true, pulls: true, headers: [] };
