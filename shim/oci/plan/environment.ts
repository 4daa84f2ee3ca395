/**
 * The environment of a container's process.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Process } from "../../../api/oci/runtime_spec.ts";

/**
 * The spec's variables, the last of equal names, and HOME from /etc/passwd where it is not set; without that file, HOME is
 * left out then.
 */
export function containerEnvironment(process: Process, passwd: string | undefined): string[] {
  const variables = new Map<string, string>();
  for (const entry of process.env ?? []) {
    const equals = entry.indexOf("=");
    if (equals <= 0 || entry.includes("\0")) {
      throw new Failure("InvalidArgument", `process.env: ${JSON.stringify(entry)} is not of the form NAME=value`);
    }
    variables.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  if (!variables.get("HOME")) {
    if (passwd === undefined) variables.delete("HOME");
    else variables.set("HOME", homeOf(process.user.uid, passwd) ?? "/");
  }
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

/** Whether the process has a HOME of its own: of equal names the last one counts, and an empty one is none. */
export function setsHome(process: Pick<Process, "env"> | undefined): boolean {
  return (process?.env?.findLast((entry) => entry.startsWith("HOME="))?.length ?? 0) > "HOME=".length;
}

/** The home directory that the text of /etc/passwd has for the user; undefined where it has none. */
export function homeOf(uid: number, passwd: string): string | undefined {
  for (const line of passwd.split("\n")) {
    const fields = line.split(":");
    if (fields[2] === String(uid) && fields[5]) return fields[5];
  }
  return undefined;
}
