/**
 * `deno task install [--prefix DIR] [--no-links]`: installs barge below DIR (default `/usr/local`), with a link for
 * each other name that it may be called by.
 *
 * @module
 */
import { libraryOf } from "./install/builds.ts";
import { install } from "./install/install.ts";
import { foldLogs } from "./install/warm.ts";

const usage = "usage: deno task install [--prefix DIR] [--no-links]";

/** The options of the command line. Throws a sentence where there is anything else. */
export function parseInstallArgs(args: readonly string[]): { prefix: string; links: boolean } {
  let prefix = "/usr/local";
  let links = true;
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--no-links") links = false;
    else if (word === "--prefix") prefix = rest.shift() ?? "";
    else if (word.startsWith("--prefix=")) prefix = word.slice("--prefix=".length);
    else throw new Error(`"${word}" is no option: ${usage}`);
  }
  if (prefix === "") throw new Error(`--prefix wants a directory: ${usage}`);
  return { prefix, links };
}

async function main(args: readonly string[]): Promise<void> {
  const { prefix, links: wantsLinks } = parseInstallArgs(args);
  const root = new URL("../", import.meta.url);
  Deno.mkdirSync(prefix, { recursive: true });
  const { launcher, unit, links, taken } = await install({
    root,
    prefix: Deno.realPathSync(prefix),
    links: wantsLinks,
  });
  // What only a real start compiles gets into the cache, too.
  for (const args of [["help"], ["run", "--help"], ["oci", "--help"]]) {
    const check = await new Deno.Command(launcher, { args, stdout: "null", stdin: "null" }).output();
    if (!check.success) throw new Error(`${launcher} was installed, but "${launcher} ${args.join(" ")}" fails`);
  }
  foldLogs(`${libraryOf(launcher)}/cache`);
  console.log(`${launcher}: launcher of the bundled program, with its own copy of Deno ${Deno.version.deno}`);
  console.log(`${unit}: the daemon's systemd unit`);
  for (const link of links) console.log(`${link}: link to barge`);
  for (const path of taken) console.log(`${path}: left alone, because it is not a link to barge`);
  console.log("One file without launcher: deno task compile (downloads Deno's runtime for executables)");
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    const isDenied = error instanceof Deno.errors.PermissionDenied;
    const hint = isDenied ? ": run it as root, or choose a directory of yours with --prefix" : "";
    console.error(`install: ${error instanceof Error ? error.message : error}${hint}`);
    Deno.exit(1);
  }
}
