/**
 * Trusted certificate authorities: the system's, `SSL_CERT_FILE`, and the folders that docker and containerd read.
 *
 * @module
 */
import { Failure, messageOf } from "../../../api/errors.ts";

/** PEM texts for a TLS client. */
export interface Certificates {
  readonly authorities: string[];
  /** Client certificate and key, where the registry's folder has a pair. */
  readonly client?: { readonly cert: string; readonly key: string };
}

/** Folders of certificates per registry host. */
export const defaultCertificateDirectories: readonly string[] = ["/etc/containerd/certs.d", "/etc/docker/certs.d"];

/** Where distributions keep the system's authorities; the first that exists counts (Debian, Fedora, SUSE, Alpine). */
const systemBundles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/**
 * What to trust for `host` (with its port): the bundle named by `SSL_CERT_FILE`, else the system's, and every
 * `*.crt` in `DIR/HOST/`; a `*.cert` with its `*.key` there is the client's pair.
 *
 * Throws `FailedPrecondition` where `SSL_CERT_FILE` or a certificate in such a folder cannot be read.
 */
export function readCertificates(host: string, directories: readonly string[]): Certificates {
  const authorities = [...bundle()];
  let client: Certificates["client"];
  for (const directory of directories) {
    // containerd also accepts the colon of the port as underscores, for file systems without colons.
    for (const folder of new Set([host, host.replace(/:(\d+)$/, "_$1_")])) {
      const place = `${directory}/${folder}`;
      for (const name of filesIn(place)) {
        if (name.endsWith(".crt")) authorities.push(read(`${place}/${name}`));
        if (!name.endsWith(".cert")) continue;
        client ??= { cert: read(`${place}/${name}`), key: read(`${place}/${name.slice(0, -5)}.key`) };
      }
    }
  }
  return client === undefined ? { authorities } : { authorities, client };
}

function bundle(): string[] {
  const named = Deno.env.get("SSL_CERT_FILE");
  if (named !== undefined && named !== "") return [read(named)];
  for (const path of systemBundles) {
    try {
      return [Deno.readTextFileSync(path)];
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw unreadable(path, error);
    }
  }
  return [];
}

function filesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw unreadable(directory, error);
  }
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): Failure {
  return new Failure("FailedPrecondition", `cannot read the certificates in "${path}": ${messageOf(cause)}`, { cause });
}
