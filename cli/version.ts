/**
 * `barge version`, `barge --version`: what this is.
 *
 * @module
 */
import { containerdVersion, version } from "../api/version.ts";

/** Prints the version, and which containerd it is to its clients. */
export function main(_args: string[]): Promise<number> {
  console.log(`barge version ${version}\ncontainerd ${containerdVersion}\nDeno ${Deno.version.deno}`);
  return Promise.resolve(0);
}
