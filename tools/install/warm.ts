/**
 * Fills the code cache of an installed program, so that V8 compiles nothing when barge is called.
 *
 * Deno keeps compiled code in a SQLite file, as far as it was compiled when a module was loaded: with V8's `--no-lazy`,
 * which the launcher sets, that is all of it. The file's write-ahead log is folded into it, since every start would
 * read the log from its beginning.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";

/**
 * The launcher's own options for Deno (ffi/elf/launcher.c): code that was cached with other ones is not taken.
 */
const options = [
  "run",
  "--allow-all",
  "--no-config",
  "--no-lock",
  "--no-npm",
  "--cached-only",
  "--quiet",
];

/**
 * V8's, for what runs long, and for the scripts that are over in milliseconds and never worth compiling. A small young
 * generation costs no time that was seen, and a loaded daemon a third of its memory less.
 */
const engineFlags = {
  long: "--v8-flags=--no-lazy,--max-semi-space-size=2",
  brief: "--v8-flags=--no-lazy,--no-sparkplug,--no-maglev,--no-opt,--single-threaded",
};
const briefScripts: ReadonlySet<string> = new Set(["start-oci.js", "start-runc.js", "checkpoint_commands.js"]);

/** Parts of Deno that barge loads when it needs them; their code is cached as well. */
const builtIns = ["node:sqlite", "node:crypto", "node:zlib", "node:https"];

/** Loads every module of the library once. Throws where one of them cannot be loaded. */
export async function warmCodeCache(library: string): Promise<void> {
  const names = [...Deno.readDirSync(library)].map(({ name }) => name)
    .filter((name) => name.endsWith(".js") && name !== "main.js");
  const urlOf = (name: string): string => new URL(`file://${library}/${name}`).href;
  const brief = names.filter((name) => briefScripts.has(name)).map(urlOf);
  const long = names.map(urlOf).filter((url) => !brief.includes(url));
  await load(library, engineFlags.long, [...builtIns, ...long], usedLater);
  await load(library, engineFlags.brief, brief);
  foldLogs(`${library}/cache`);
}

/** Parts of Deno that come with the first stream and the first message to a worker. */
const usedLater = "structuredClone({});\nawait new ReadableStream().cancel();\n";

/** Imports the modules in one process with these flags, and runs the statements. */
async function load(library: string, flags: string, urls: readonly string[], statements = ""): Promise<void> {
  const script = await Deno.makeTempFile({ suffix: ".js" });
  try {
    await Deno.writeTextFile(
      script,
      `for (const url of ${JSON.stringify(urls)}) await import(url);\n${statements}Deno.exit(0);\n`,
    );
    const { success, stderr } = await new Deno.Command(`${library}/deno`, {
      args: [...options, flags, script],
      env: { DENO_DIR: `${library}/cache`, DENO_NO_UPDATE_CHECK: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(`cannot load the bundle: ${new TextDecoder().decode(stderr)}`);
  } finally {
    await Deno.remove(script);
  }
}

/** Writes the logs of the cache's databases into their files. */
export function foldLogs(cache: string): void {
  for (const { name, isFile } of Deno.readDirSync(cache)) {
    if (!isFile || !name.endsWith("_v2")) continue;
    const database = new DatabaseSync(`${cache}/${name}`);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
  }
}
