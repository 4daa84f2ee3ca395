/**
 * `deno task test:fresh [--keep] [PATH…]`: the README's two commands on a fresh machine. A Debian is made by debootstrap that has
 * nothing but Node's packages; what is committed is cloned into it, and both commands run there, in mount and process
 * namespaces of their own. With PATHs only those tests run. Wants root, the network of `apt-get` and `npx`, and a quarter of
 * an hour or more; the directory is removed afterwards, unless `--keep` is given.
 *
 * @module
 */
import { enter, leave } from "./fresh/enter.ts";
import { makeRoot } from "./fresh/root.ts";

/** The README's commands, in the clone. */
const commands = ["npx -y deno@2.9.6 task barge run hello", "npx -y deno@2.9.6 task test"];

const patternOfPath = /^[\w./-]+$/;

async function main(args: readonly string[]): Promise<number> {
  const keeps = args.includes("--keep");
  const paths = args.filter((arg) => arg !== "--keep");
  const bad = paths.find((path) => path.startsWith("-") || !patternOfPath.test(path));
  if (bad !== undefined) throw new Error(`"${bad}" is no path of tests: usage: deno task test:fresh [--keep] [PATH…]`);
  if (Deno.uid() !== 0) throw new Error("a fresh machine is made by root only");
  const directory = await Deno.makeTempDir({ prefix: "barge-fresh-" });
  try {
    console.log(`a fresh Debian in ${directory}`);
    await makeRoot(new URL("../", import.meta.url).pathname, directory);
    for (const command of commands) {
      const words = [command, ...(command.endsWith(" test") ? paths : [])].join(" ");
      console.log(`\n$ ${words}`);
      const code = await enter(directory, words);
      if (code !== 0) return code;
    }
    return 0;
  } finally {
    leave(directory);
    if (keeps) console.log(`kept: ${directory}`);
    else await Deno.remove(directory, { recursive: true });
  }
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(`test:fresh: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
