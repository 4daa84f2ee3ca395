/**
 * The command line of this program's own OCI runtime.
 *
 * @module
 */
import { readLaunch } from "../../ffi/launch.ts";

/** The words before the flags: the installed launcher, or Deno with the source tree's main module. */
export function ownRuntime(): string[] {
  const deno = Deno.execPath();
  if (readLaunch().argv0 !== "") return [`${deno.slice(0, -"/lib/barge/deno".length)}/bin/barge`, "oci"];
  const main = new URL(Deno.mainModule).pathname;
  const config = `${main.slice(0, main.lastIndexOf("/"))}/deno.json`;
  return [deno, "run", "--allow-all", "--quiet", "--no-code-cache", "--config", config, main, "oci"];
}
