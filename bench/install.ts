/**
 * barge as users have it.
 *
 * @module
 */
import { outputOf } from "./measure.ts";

const root = new URL("../", import.meta.url).pathname;

/** Installs barge below the prefix; gives the words that start it, and a note on how it was done. */
export async function installBarge(prefix: string): Promise<{ command: string[]; how: string }> {
  await outputOf([Deno.execPath(), "run", "-A", "--quiet", `${root}tools/install.ts`, "--prefix", prefix]);
  return { command: [`${prefix}/bin/barge`], how: "installed by `deno task install`" };
}

/** barge from its sources, where it cannot be installed. */
export function fromSources(): { command: string[]; how: string } {
  const command = [Deno.execPath(), "run", "-A", "--quiet", "--no-code-cache", `${root}main.ts`];
  return { command, how: "run from its sources" };
}
