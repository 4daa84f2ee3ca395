/**
 * Bundles barge: each personality on its own, with chunks for what it loads only sometimes, so that a start reads few
 * files, and no file of `node_modules` or of Deno's cache is wanted afterwards. What personalities share is there more
 * than once: sharing it would cut it into a dozen chunks. The daemon, which loads nearly everything at each start,
 * and the runtime and the shim, which are started for each container, are one file each: Deno reads all chunks that a
 * program could load, and they took twice as long for the first, a millisecond for the second, and a sixth of the third's
 * processor time. Shortened names save another one; the source maps beside the files are read only for the
 * trace of an error. What of them is seldom wanted, and large, is a file of its own: each 10 KiB that Deno reads and V8
 * looks through take a quarter of a millisecond.
 *
 * @module
 */
import { sourceFiles } from "../tidy/source_file.ts";
import { deno } from "./deno.ts";
import { minify } from "./minify.ts";

const common = ["bundle", "--quiet", "--platform", "deno", "--packages", "bundle"];
const mapped = [...common, "--sourcemap", "linked"];

/** Modules that `new Worker()` starts, by their name, but for those of tests and benchmarks; a bundle has each beside its main.js. */
export function workersOf(root: URL): string[] {
  return [...sourceFiles(root)].map(({ path }) => path)
    .filter((path) => path.endsWith("_worker_main.ts") && !/^(?:tests|bench)\//.test(path));
}

/** Personalities that are one file. */
const whole: ReadonlySet<string> = new Set(["daemon", "oci", "shim"]);

/** Modules that the one-file personalities import when a command asks for them; what both need is in both then. */
const apart: readonly string[] = ["cli/oci/checkpoint_commands.ts"];

function jsName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).replace(/\.ts$/, ".js");
}

/** First word → module of the personalities in the text of `main.ts`. */
function personalities(text: string): [word: string, path: string][] {
  return [...text.matchAll(/^ {2}"?([\w-]+)"?: \(\) => import\("(\.\/[^"]+)"\),$/gm)]
    .map(([, word, path]) => [word!, path!]);
}

/**
 * Writes `main.js`, `start-WORD.js` for each personality, their chunks and the workers into the directory. `main` is for
 * tests.
 */
export async function bundle(root: URL, directory: string, main = "main.ts"): Promise<void> {
  const mainUrl = new URL(main, root);
  const found = personalities(Deno.readTextFileSync(mainUrl));
  const names = apart.map((path) => `./${path.slice(path.lastIndexOf("/") + 1)}`);
  const leftOut = names.flatMap((name) => ["--external", name]);
  const external = found.flatMap(([, path]) => ["--external", path]);
  await deno(root, ...common, ...external, "--output", `${directory}/main.js`, main);
  let bundled = Deno.readTextFileSync(`${directory}/main.js`);
  const scratch = await Deno.makeTempDir();
  try {
    for (const [word, path] of found) {
      const { href } = new URL(path, mainUrl);
      const start = `${scratch}/start-${word}.ts`;
      // The same module serves main.js, which then calls what it exports, and the launcher, which starts it.
      await Deno.writeTextFile(
        start,
        `import { main } from ${JSON.stringify(href)};\nexport { main };\n` +
          `if (import.meta.main) Deno.exit(await main(Deno.args));\n`,
      );
      const place = whole.has(word)
        ? ["--output", `${directory}/start-${word}.js`]
        : ["--code-splitting", "--outdir", directory];
      await deno(root, ...mapped, ...(whole.has(word) ? leftOut : []), ...place, start);
      if (whole.has(word)) nameApart(`${directory}/start-${word}.js`, names);
      bundled = bundled.replace(`"${path}"`, `"./start-${word}.js"`);
    }
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
  Deno.writeTextFileSync(`${directory}/main.js`, bundled);
  for (const path of [...workersOf(root), ...apart]) {
    await deno(root, ...mapped, "--output", `${directory}/${jsName(path)}`, path);
  }
  const scripts = [...Deno.readDirSync(directory)].map(({ name }) => name)
    .filter((name) => name.endsWith(".js") && name !== "main.js");
  await minify(scripts.map((name) => `${directory}/${name}`));
}

/** Has a bundle import the modules that are apart from it by the names that they have beside it. */
function nameApart(path: string, names: readonly string[]): void {
  const text = Deno.readTextFileSync(path);
  const named = names.reduce(
    (result, name) => result.replaceAll(`import("${name}")`, `import("./${jsName(name)}")`),
    text,
  );
  if (named !== text) Deno.writeTextFileSync(path, named);
}
