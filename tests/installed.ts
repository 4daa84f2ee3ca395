/**
 * barge as users have it, which is what tests run: `deno task test` installs it once for all files, below a prefix of the test
 * run's own, and names its launcher in `BARGE_TESTED`. A file that is run by itself installs it for itself.
 *
 * @module
 */

import { libraryOf } from "../tools/install/builds.ts";
import { installForTests, launcherBelow } from "./install_for_tests.ts";

async function installForThisFile(): Promise<string> {
  const prefix = await installForTests();
  // Programs of the test find it, too.
  Deno.env.set("BARGE_TESTED", launcherBelow(prefix));
  addEventListener("unload", () => {
    Deno.env.delete("BARGE_TESTED");
    Deno.removeSync(prefix, { recursive: true });
  });
  return launcherBelow(prefix);
}

/** The launcher that is tested. */
export const launcher: string = Deno.env.get("BARGE_TESTED") ?? await installForThisFile();

/** The copy of Deno that it starts. */
export const installedDeno: string = `${libraryOf(launcher)}/deno`;

/** Puts links to a launcher, by default the tested one, into a directory, which a daemon then finds its shims in. */
export async function linkShims(
  directory: string,
  names: readonly string[] = ["containerd-shim-ts-v2"],
  target: string = launcher,
): Promise<void> {
  for (const name of names) await Deno.symlink(target, `${directory}/${name}`);
}
