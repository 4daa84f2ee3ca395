/**
 * barge as users have it, installed for one test file: called from its sources each call would take ten times as long.
 *
 * @module
 */
import { sourceRoot, succeed } from "../command.ts";

let installing: Promise<string> | undefined;

/**
 * The words of barge's OCI runtime. Installs it where that has not been done yet, unless `BARGE_LAUNCHER` names a
 * launcher that is installed already.
 */
export async function installedRuntime(): Promise<readonly string[]> {
  const given = Deno.env.get("BARGE_LAUNCHER");
  return [given ?? `${await (installing ??= install())}/bin/barge`, "oci"];
}

async function install(): Promise<string> {
  const prefix = await Deno.makeTempDir({ prefix: "barge-installed-" });
  await Deno.chmod(prefix, 0o755);
  const script = `${sourceRoot}/tools/install.ts`;
  await succeed([Deno.execPath(), "run", "-A", "--quiet", script, "--prefix", prefix, "--no-links"], {
    timeoutMs: 180_000,
  });
  return prefix;
}

/** Removes what was installed; nothing where nothing was. */
export async function removeInstalled(): Promise<void> {
  if (installing !== undefined) await Deno.remove(await installing, { recursive: true });
  installing = undefined;
}
