/**
 * The PEM texts that a host's settings name.
 *
 * @module
 */
import { Failure, messageOf } from "../../../../api/errors.ts";
import type { Certificates } from "../certificates.ts";
import type { HostTls } from "./host_entry.ts";

/** `trusted` and what the host's settings add. Throws `FailedPrecondition` where a file cannot be read. */
export function addHostTls(trusted: Certificates, { authorities, client }: HostTls): Certificates {
  return {
    authorities: [...trusted.authorities, ...authorities.map((path) => read(path, "CERTIFICATE"))],
    ...(client === undefined
      ? trusted.client === undefined ? {} : { client: trusted.client }
      : { client: { cert: read(client.certificate, "CERTIFICATE"), key: read(client.key, "PRIVATE KEY") } }),
  };
}

/** The parts of the file's PEM text whose kind ends so. */
function read(path: string, kind: string): string {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    const message = `cannot read the certificates in "${path}": ${messageOf(cause)}`;
    throw new Failure("FailedPrecondition", message, { cause });
  }
  const parts = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g)]
    .filter(([, name]) => name!.endsWith(kind)).map(([part]) => part);
  if (parts.length === 0) throw new Failure("FailedPrecondition", `"${path}" has no ${kind.toLowerCase()} in PEM`);
  return `${parts.join("\n")}\n`;
}
