/**
 * Installs barge for tests, as `deno task install` does.
 *
 * @module
 */

const sourceRoot = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** Installs barge from the source tree below a new directory, which anybody may read, with all its links. Gives the prefix. */
export async function installForTests(): Promise<string> {
  const prefix = await Deno.makeTempDir({ prefix: "barge-installed-" });
  await Deno.chmod(prefix, 0o755);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", `${sourceRoot}/tools/install.ts`, "--prefix", prefix],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return prefix;
  await Deno.remove(prefix, { recursive: true });
  throw new Error(`barge cannot be installed for the tests: ${new TextDecoder().decode(stderr).trim()}`);
}

/** Path of the launcher below a prefix. */
export function launcherBelow(prefix: string): string {
  return `${prefix}/bin/barge`;
}
