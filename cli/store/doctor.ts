/**
 * `barge doctor`: says what is wrong with a root, and repairs it.
 *
 * @module
 */
import { isFailure, messageOf } from "../../api/errors.ts";
import { examine } from "../../daemon/doctor/examine.ts";
import type { Finding } from "../../daemon/doctor/finding.ts";
import { repair } from "../../daemon/doctor/repair.ts";
import { salvage } from "../../daemon/doctor/salvage.ts";
import { ownRoot } from "../../daemon/root_lock.ts";
import { ownStores } from "../../daemon/store.ts";
import { perform, type StoreCommand } from "./command.ts";
import { databaseOf, findRoot, placeFlags, readRoot } from "./place.ts";

const flags = {
  root: placeFlags.root,
  json: placeFlags.json,
  hash: { kind: "boolean", help: "Read every blob and compare its digest, and snapshots with their layers" },
  repair: { kind: "boolean", help: "Repair what can be repaired; no daemon may run on the root" },
} as const;

const command: StoreCommand<typeof flags> = {
  name: "doctor",
  flags,
  help: {
    usage: "barge doctor [flags]",
    description: "Compares the metadata with the files, and says what is wrong. Ends with 1 where something is.",
  },
  perform: async ({ root, json, hash, repair: wanted }) => {
    const place = findRoot(root);
    const signal = new AbortController().signal;
    const findings = await look(place, hash, signal);
    if (json) console.log(JSON.stringify(findings, null, 2));
    else findings.forEach((finding) => console.log(render(finding)));
    if (findings.length === 0) {
      if (!json) console.log(`${place}: nothing is wrong`);
      return 0;
    }
    if (!wanted) {
      if (!json) console.log("barge doctor --repair does what is said above, while no daemon runs");
      return 1;
    }
    return await mend(place, hash, signal, findings);
  },
};

/** A database that cannot be opened is a finding like any other. */
async function look(root: string, hash: boolean, signal: AbortSignal): Promise<Finding[]> {
  if (isEmpty(databaseOf(root))) {
    return [{
      kind: "damaged database",
      what: `"${databaseOf(root)}"`,
      problem: "it is missing or empty",
      remedy: "a new one is made",
    }];
  }
  try {
    using reader = readRoot(root);
    return await examine(root, reader, { hash, signal, tell });
  } catch (error) {
    if (!isFailure(error, "DataLoss") && !/malformed|corrupt|not a database/.test(messageOf(error))) throw error;
    return [{
      kind: "damaged database",
      what: `"${databaseOf(root)}"`,
      problem: messageOf(error),
      remedy: "what can be read of it is copied into a new one, and the old one is set aside",
    }];
  }
}

/** Beside the findings, as it is none. */
function tell(sentence: string): void {
  console.error(`barge doctor: ${sentence}`);
}

function isEmpty(path: string): boolean {
  try {
    return Deno.statSync(path).size === 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}

function render({ kind, what, problem, remedy }: Finding): string {
  return `${kind}: ${what}: ${problem}${remedy === undefined ? "" : `; repair: ${remedy}`}`;
}

async function mend(root: string, hash: boolean, signal: AbortSignal, findings: Finding[]): Promise<number> {
  let left = findings;
  if (findings.some(({ kind }) => kind === "damaged database")) {
    await makeAnew(root, signal);
    left = (await look(root, hash, signal)).map(keepFile);
  }
  using stores = await ownStores(root, { signal });
  let failures = 0;
  for (const { finding, error } of await repair(stores, left)) {
    if (error === undefined) console.log(`repaired: ${finding.what}`);
    else {
      failures++;
      console.error(`barge doctor: ${finding.what}: ${messageOf(error)}`);
    }
  }
  const manual = left.filter(({ remedy, kind }) => remedy === undefined && kind !== "dangling reference");
  return failures > 0 || manual.length > 0 ? 1 : 0;
}

/** Nobody else may use the root meanwhile. */
async function makeAnew(root: string, signal: AbortSignal): Promise<void> {
  const path = databaseOf(root);
  using _lock = await ownRoot(root, path.slice(0, path.lastIndexOf("/")), { signal });
  const { setAside, rows, incomplete } = salvage(path);
  const total = [...rows.values()].reduce((sum, count) => sum + count, 0);
  const old = setAside === undefined ? "there was none" : `the damaged one is "${setAside}"`;
  console.log(`the database was made anew with ${total} rows; ${old}`);
  if (incomplete.length > 0) console.log(`not all could be read of: ${incomplete.join(", ")}`);
}

/** A file whose row was lost just now is no killed writer's. */
function keepFile(finding: Finding): Finding {
  if (finding.kind !== "unknown blob file" || finding.remedy === undefined) return finding;
  return { ...finding, problem: "its row was lost with the database", remedy: "it is set aside", keep: true };
}

/** Performs the command line; gives the exit code. */
export function main(args: string[]): Promise<number> {
  return perform(command, args);
}
