/**
 * `deno task compile [--output FILE]`: barge as one executable file (default `dist/barge`).
 *
 * `deno compile` puts the program into a copy of `denort`, a runtime that it downloads once from Deno's own site; npm
 * does not have it. Without a network, `deno task install` gives the same program behind a launcher.
 *
 * @module
 */
import { workersOf } from "./install/bundle.ts";

/** The arguments of `deno compile`. A cache of code would be a file in /tmp with a name that anybody can guess. */
export function compileArgs(root: URL, output: string): string[] {
  const workers = workersOf(root).flatMap((path) => ["--include", path]);
  return [
    ...["compile", "--quiet", "--allow-all", "--no-check", "--no-code-cache"],
    ...workers,
    ...["--output", output, "main.ts"],
  ];
}

/** The sentence for what `deno compile` said, undefined where its own words are better. */
export function explain(said: string): string | undefined {
  if (!/denort-/.test(said)) return undefined;
  const address = /https:\/\/\S+?\.zip/.exec(said)?.[0] ?? "denort";
  return `the runtime for executables cannot be downloaded from ${address}: use deno task install, which needs none`;
}

async function main(args: readonly string[]): Promise<number> {
  const [flag, output = "dist/barge", ...rest] = args;
  if ((flag !== undefined && flag !== "--output") || rest.length > 0) {
    console.error("compile: usage: deno task compile [--output FILE]");
    return 1;
  }
  const root = new URL("../", import.meta.url);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: compileArgs(root, output),
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stderr: "piped",
  }).output();
  if (success) {
    console.log(`${output}: barge as one executable file`);
    return 0;
  }
  const said = new TextDecoder().decode(stderr);
  console.error(`compile: ${explain(said) ?? said.trim()}`);
  return 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
