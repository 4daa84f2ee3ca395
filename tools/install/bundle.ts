/**
 * Bundles barge: one file for each personality and for what several of them share, so that a start reads only what
 * it needs, and no file of `node_modules` or of Deno's cache is wanted afterwards.
 *
 * @module
 */
import { sourceFiles } from "../tidy/source_file.ts";
import { deno } from "./deno.ts";

const common = ["bundle", "--quiet", "--platform", "deno", "--packages", "bundle"];

/** Modules that `new Worker()` starts, by their name; a bundle has each beside its main.js. */
export function workersOf(root: URL): string[] {
  return [...sourceFiles(root)].map(({ path }) => path).filter((path) => path.endsWith("_worker_main.ts"));
}

/** Writes `main.js`, its chunks and the workers into the directory. `main` is for tests. */
export async function bundle(root: URL, directory: string, main = "main.ts"): Promise<void> {
  await deno(root, ...common, "--code-splitting", "--outdir", directory, main);
  for (const path of workersOf(root)) {
    const name = path.slice(path.lastIndexOf("/") + 1).replace(/\.ts$/, ".js");
    await deno(root, ...common, "--output", `${directory}/${name}`, path);
  }
}
