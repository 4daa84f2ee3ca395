/**
 * `deno run -A tests/conformance/main.ts [--only TEXT] COMMAND…`: the suite against any OCI runtime with runc's command
 * line, such as `runc` or `barge oci`. Prints the Test Anything Protocol; ends with 1 where a case fails.
 *
 * @module
 */
import { makeScratch } from "../scratch.ts";
import type { RuntimeName } from "./case.ts";
import { groups } from "./groups.ts";
import { perform } from "./perform.ts";
import { makeSuite, reasonAgainst } from "./suite.ts";

/** The name that differences are listed under: whatever is neither runc nor crun is held to what barge is. */
function nameOf(command: readonly string[]): RuntimeName {
  const base = command[0]?.split("/").at(-1) ?? "";
  return base === "runc" || base === "crun" ? base : "barge";
}

async function main(args: readonly string[]): Promise<number> {
  const only = args[0] === "--only" ? args[1] ?? "" : "";
  const command = args[0] === "--only" ? args.slice(2) : args;
  if (command.length === 0) {
    console.error("usage: main.ts [--only TEXT] COMMAND…");
    return 2;
  }
  await using scratch = await makeScratch();
  const suite = await makeSuite(scratch, { name: nameOf(command), command });
  let [number, failed] = [0, 0];
  for (const [group, cases] of Object.entries(groups)) {
    for (const one of cases) {
      const name = `${group}: ${one.name}`;
      if (!name.includes(only)) continue;
      number++;
      const reason = reasonAgainst(one, suite.runtime);
      if (reason !== undefined) {
        console.log(`ok ${number} ${name} # SKIP ${reason}`);
        continue;
      }
      const begin = performance.now();
      try {
        await perform(suite, one, number);
        console.log(`ok ${number} ${name} # ${Math.round(performance.now() - begin)} ms`);
      } catch (error) {
        failed++;
        const text = error instanceof Error ? error.message : String(error);
        console.log(`not ok ${number} ${name}\n${text.replaceAll(/^/gm, "  # ")}`);
      }
    }
  }
  for (const left of scratch.leftovers()) {
    failed++;
    console.log(`not ok - left: ${left}`);
  }
  console.log(`1..${number}\n# ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
