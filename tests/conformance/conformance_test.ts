/**
 * The conformance suite against barge and against runc: what runc fails is a wrong case, or a difference with a reason.
 *
 * @module
 */
import { barge } from "../command.ts";
import { missingPrograms } from "../registry.ts";
import { makeScratch } from "../scratch.ts";
import type { Case } from "./case.ts";
import { groups } from "./groups.ts";
import { declareKillTests } from "./kill_cases.ts";
import { perform } from "./perform.ts";
import { makeSuite, reasonAgainst } from "./suite.ts";

const missing = ["busybox", "runc", "unshare", "python3"].filter((program) => missingPrograms(program).length > 0);
const skip = Deno.uid() !== 0 ? "not root" : missing.length > 0 ? `no ${missing.join(", ")}` : undefined;

/** Readers of a killed program's pipes may end a little later than the test, and steps run beside each other. */
const unchecked = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };

/** How many cases run at once: most of a case is waiting for other processes. */
const lanes = 3;

/** All cases of a group, each as a step. */
async function runGroup(t: Deno.TestContext, name: "barge" | "runc", cases: readonly Case[]): Promise<void> {
  const command = name === "barge" ? [...barge, "oci"] : ["runc"];
  await using scratch = await makeScratch();
  const suite = await makeSuite(scratch, { name, command });
  const waiting = [...cases.entries()];
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, one] = next;
      const reason = reasonAgainst(one, suite.runtime);
      await t.step({
        name: reason === undefined ? one.name : `${one.name} (skipped: ${reason})`,
        ignore: reason !== undefined,
        ...unchecked,
        fn: () => perform(suite, one, index),
      });
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  await scratch.assertNothingLeft();
}

for (const [group, cases] of Object.entries(groups)) {
  for (const name of ["barge", "runc"] as const) {
    const title = `${name} conforms: ${group}`;
    Deno.test({
      name: skip === undefined ? title : `${title} (skipped: ${skip})`,
      ignore: skip !== undefined,
      ...unchecked,
      fn: (t) => runGroup(t, name, cases),
    });
  }
}

declareKillTests();
