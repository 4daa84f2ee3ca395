/**
 * Shortens bundled scripts: white space and names, and nothing else.
 *
 * esbuild's third way, `--minify-syntax`, moves what is used once to the place of its use. Up to 0.28.1, and in the copy that
 * `deno bundle --minify` runs, it does so to `using` declarations too, and what they name is never disposed of: a descriptor
 * leaked for each exec, each blob, each request. {@link declarationsOfUsing} counts them before and after, so that no
 * version of a bundler can do it again unseen.
 *
 * @module
 */
import { deno } from "./deno.ts";

/** Run as a program, so that what barge itself needs from npm stays what it was. */
const esbuild = "npm:esbuild@0.28.2";

/**
 * How many `using` and `await using` declarations the script has. It may be shortened or not; comments and texts that have such words
 * count alike before and after.
 */
export function declarationsOfUsing(script: string): number {
  // A declaration's name follows the word, and then its value, or `of` in a loop.
  return [...script.matchAll(/(?<![\w$.#])using\s+(?!of\b|in\b|instanceof\b)[A-Za-z_$][\w$]*\s*(?:=(?![=>])|of\b)/g)]
    .length;
}

/** Throws where shortening a script has lost a declaration of `using`. */
export function checkUsing(name: string, before: string, after: string): void {
  const [wanted, kept] = [declarationsOfUsing(before), declarationsOfUsing(after)];
  if (kept === wanted) return;
  throw new Error(
    `${name}: ${kept} of ${wanted} "using" declarations are left after it was shortened: what they name would stay open`,
  );
}

/**
 * Shortens scripts in their places; a source map beside one leads to the sources still. Throws where one cannot be shortened
 * without loss.
 */
export async function minify(paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return;
  const before = new Map(paths.map((path) => [path, Deno.readTextFileSync(path)]));
  const outdir = paths[0]!.slice(0, paths[0]!.lastIndexOf("/"));
  await deno(
    new URL("file:///"),
    ...["run", "-A", "--no-config", "--no-lock", "--quiet", esbuild],
    ...["--minify-whitespace", "--minify-identifiers", "--sourcemap=linked", "--format=esm", "--target=esnext"],
    ...["--charset=utf8", "--legal-comments=none", "--log-level=warning", "--allow-overwrite"],
    ...[`--outdir=${outdir}`, `--outbase=${outdir}`, ...paths],
  );
  for (const [path, text] of before) checkUsing(path, text, Deno.readTextFileSync(path));
}
