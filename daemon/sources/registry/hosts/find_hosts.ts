/**
 * The directory of a registry's hosts, as docker and containerd lay it out: `ROOT/HOST/hosts.toml`, or certificates alone.
 *
 * @module
 */
import { Failure, messageOf } from "../../../../api/errors.ts";
import { type HostEntry, type HostTls, registryItself } from "./host_entry.ts";
import { parseHostsFile } from "./hosts_file.ts";

/** A file with hosts has some lines; one that is larger than this is none. */
const fileBytesMax = 1 << 20;

/**
 * The hosts that serve the images of `host` (with its port), in the order in which they are asked: what its directory
 * says, the first that is there of `HOST_PORT_`, `HOST:PORT` and `_default` in each root; else the registry itself.
 *
 * A file that cannot be understood is told to `warn`, and counts as none, as in containerd. Throws `FailedPrecondition`
 * where the directory cannot be read.
 */
export async function findHosts(
  host: string,
  roots: readonly string[],
  warn: (message: string) => void,
): Promise<readonly HostEntry[]> {
  const directory = findDirectory(host, roots);
  if (directory === undefined) return [registryItself];
  const path = `${directory}/hosts.toml`;
  const text = readHostsFile(path);
  if (text !== "") {
    try {
      const { entries, unknown } = await parseHostsFile(text, directory);
      if (unknown.length > 0) warn(`${path}: nothing is known of ${unknown.join(", ")}`);
      return entries;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      warn(`${path} is not used, so ${host} itself is asked: ${error.message}`);
    }
  }
  const tls = certificatesIn(directory);
  return [tls === undefined ? registryItself : { ...registryItself, tls }];
}

function findDirectory(host: string, roots: readonly string[]): string | undefined {
  const names = [...new Set([host.replace(/:(\d+)$/, "_$1_"), host]), "_default"];
  for (const root of roots) {
    for (const name of names) {
      const path = `${root}/${name}`;
      try {
        Deno.statSync(path);
        return path;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw unreadable(path, error);
      }
    }
  }
  return undefined;
}

/** Empty where it is not there. */
function readHostsFile(path: string): string {
  try {
    const { size } = Deno.statSync(path);
    if (size > fileBytesMax) {
      throw new Failure("FailedPrecondition", `${path} has ${size} bytes: at most ${fileBytesMax} are read`);
    }
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return "";
    throw unreadable(path, error);
  }
}

/** docker's form: `*.crt` are authorities, a `*.cert` with its `*.key` is the client's pair. */
function certificatesIn(directory: string): HostTls | undefined {
  let names: string[];
  try {
    names = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotADirectory) return undefined;
    throw unreadable(directory, error);
  }
  const authorities = names.filter((name) => name.endsWith(".crt")).map((name) => `${directory}/${name}`);
  const certificate = names.find((name) => name.endsWith(".cert"));
  if (certificate === undefined) return authorities.length === 0 ? undefined : { authorities };
  const key = `${certificate.slice(0, -".cert".length)}.key`;
  const place = `${directory}/${certificate}`;
  // A key that is not there lies in the certificate's own file.
  return { authorities, client: { certificate: place, key: names.includes(key) ? `${directory}/${key}` : place } };
}

function unreadable(path: string, cause: unknown): Failure {
  return new Failure("FailedPrecondition", `cannot read "${path}": ${messageOf(cause)}`, { cause });
}
