/**
 * `deno task bench [--quick] [WORD]`: measures barge and its peers side by side, in turns, and prints medians and
 * ratios; with a word only what has it in its name.
 *
 * @module
 */
import { makeBenchScratch } from "./bench_scratch.ts";
import { daemonRows } from "./daemon/daemon_rows.ts";
import { fromSources, installBarge } from "./install.ts";
import { imageRunRow } from "./image_run_row.ts";
import type { Row } from "./measure.ts";
import { ociCommandRows } from "./oci/command_rows.ts";
import { ociLibraryRows } from "./oci/library_rows.ts";
import { ociMachineRows } from "./oci/machine_rows.ts";
import { pullRows } from "./pull_row.ts";
import { startRow } from "./start/start_row.ts";
import { describeMachine, formatTable } from "./table.ts";
import { taskRows } from "./tasks/task_rows.ts";

if (Deno.uid() !== 0) {
  console.error("barge's benchmarks make containers, which needs root: use sudo or a root shell");
  Deno.exit(1);
}

const amount = { quick: Deno.args.includes("--quick") };
const only = Deno.args.find((arg) => !arg.startsWith("--")) ?? "";
await using scratch = await makeBenchScratch();
const { command, how } = await installBarge(`${scratch.path}/prefix`).catch((error) => {
  console.error(`not installed: ${error.message}`);
  return fromSources();
});

const benches: Readonly<Record<string, () => Promise<Row | Row[]>>> = {
  "oci start": () => startRow(scratch, command, amount),
  "oci commands": () => ociCommandRows(scratch, command, amount),
  "oci library": () => ociLibraryRows(scratch, command, amount),
  "oci in a virtual machine": () => ociMachineRows(amount),
  "image run": () => imageRunRow(scratch, command, amount),
  pull: () => pullRows(scratch, command, amount),
  daemon: () => daemonRows(scratch, command, amount),
  tasks: () => taskRows(scratch, command, amount),
};

const rows: Row[] = [];
for (const [name, bench] of Object.entries(benches)) {
  if (!name.includes(only)) continue;
  console.error(`measuring ${name} …`);
  try {
    rows.push(...[await bench()].flat());
  } catch (error) {
    console.error(error);
    rows.push({ kind: "skipped", work: name, reason: "failed, see above" });
  }
}
console.log(`\`deno task bench${amount.quick ? " --quick" : ""}\` on ${await describeMachine()}barge is ${how}\n`);
console.log(formatTable(rows));
