/**
 * `deno task test [--no-install] [PATH…]`: installs missing peers, checks types and tidiness, installs barge below a
 * prefix of its own, runs every test file (or those whose path begins with one of the PATHs), and prints
 * `N passed, N failed[, N skipped]` as its last line. The files of `tests/` run what is installed.
 *
 * Unit tests run in several processes at once. The files of `tests/` run one after another, since they share the
 * machine's cgroups, mounts and clocks; those that boot virtual machines run beside all others, at the lowest priority.
 *
 * @module
 */
import { installForTests, launcherBelow } from "../tests/install_for_tests.ts";
import { generatorsLack } from "./tidy/generated.ts";
import { sourceFiles } from "./tidy/source_file.ts";
import { installPeers } from "./test/install_peers.ts";
import { countRun, type Counts, summary, sumOf } from "./test/junit.ts";
import { divide } from "./test/lanes.ts";
import { runFile } from "./test/run_file.ts";
import { runLanes } from "./test/run_lanes.ts";

const root = new URL("../", import.meta.url);

function heading(text: string): void {
  console.log(`\n== ${text}`);
}

/** A check that is one command of Deno; its output appears as it comes. */
async function check(name: string, ...args: string[]): Promise<Counts> {
  heading(name);
  const { success } = await new Deno.Command(Deno.execPath(), { args, cwd: root, stdin: "null" }).spawn().status;
  return countRun(success ? "<testcase/>" : undefined, success);
}

/** Everything that `deno task test` does; gives the number of failed cases. */
async function main(args: readonly string[]): Promise<number> {
  const wanted = args.filter((arg) => !arg.startsWith("--"));
  if (!args.includes("--no-install")) {
    const missing = await installPeers();
    if (missing.length > 0) console.log(`missing, so that tests which need them are ignored: ${missing.join(", ")}`);
  }
  const counts: Counts[] = [];
  if (wanted.length === 0) {
    counts.push(await check("types", "check", "--quiet", "."));
    counts.push(await check("tidiness", "run", "-A", "--quiet", "tools/tidy.ts"));
    if (generatorsLack() !== undefined) counts.push({ passed: 0, failed: 0, skipped: 1 });
  }
  const paths = [...sourceFiles(root)].map(({ path }) => path).filter((path) => path.endsWith("_test.ts")).sort()
    .filter((path) => wanted.length === 0 || wanted.some((start) => path.startsWith(start)));
  let prefix: string | undefined;
  try {
    if (paths.some((path) => path.startsWith("tests/"))) prefix = await installForTests();
    const env = prefix === undefined ? {} : { BARGE_TESTED: launcherBelow(prefix) };
    counts.push(
      ...await runLanes(divide(paths), {
        run: (path, options) => runFile(root, path, { ...options, env }),
        say: (text) => console.log(text),
      }),
    );
  } finally {
    if (prefix !== undefined) await Deno.remove(prefix, { recursive: true });
  }
  const sum = sumOf(counts);
  console.log(`\n${summary(sum)}`);
  return sum.failed;
}

if (import.meta.main) Deno.exit(await main(Deno.args) > 0 ? 1 : 0);
