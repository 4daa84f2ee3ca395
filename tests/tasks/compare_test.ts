/**
 * Stock `ctr` about tasks, against barge's daemon and against a stock containerd, both with the stock shim: the same
 * commands give the same output.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import type { DaemonKind } from "../daemon/daemon_fixture.ts";
import { startTaskBench, type TaskBench } from "./task_fixture.ts";
import { taskScript, type TaskStep } from "./task_script.ts";

/** What cannot be the same on two daemons, as words that are. */
function normalized(text: string, { args, lines }: TaskStep, { daemon, namespace, scratch }: TaskBench): string {
  const all = text
    .replaceAll(daemon.directory, "DIRECTORY").replaceAll(scratch.path, "SCRATCH").replaceAll(namespace, "NAMESPACE")
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d| \+0000 UTC)/g, "TIME")
    .replace(/sha256:[0-9a-f]{64}/g, "DIGEST").replace(/\/fifo\/\d+/g, "/fifo/N")
    .replace(/\{(running|paused) 0 .*?\}/g, "{$1}")
    .replace(/^(\S+ +)\d+( +(?:RUNNING|STOPPED|PAUSED|CREATED))/gm, "$1PID$2")
    .replace(/^\d+( +(?:-|\S+))$/gm, "PID$1")
    .replace(/exec_id:"?(\w+)"?/g, "EXEC $1")
    .replace(/^((?:memory|pids)\.\S+ +)\d+/gm, "$1N")
    // Columns are as wide as process ids, which may have got longer meanwhile.
    .replace(/ {2,}/g, " ")
    .split("\n").map((line) => line.trimEnd()).filter((line) => lines?.test(line) ?? true);
  // Processes come by their numbers, which begin anew now and then.
  return (args[1] === "ps" ? all.sort() : all).join("\n").trim();
}

async function perform(kind: DaemonKind): Promise<string[]> {
  await using bench = await startTaskBench({ kind });
  const outputs: string[] = [];
  for (const step of taskScript(bench.scratch.path)) {
    if (step.until !== undefined) await bench.until(step.until, ...step.args);
    const options = { timeoutMs: 15_000, ...step.stdin === undefined ? {} : { stdin: step.stdin } };
    const { code, stdout, stderr } = step.until !== undefined && step.until.test("")
      ? { code: 0, stdout: "", stderr: "" }
      : await bench.ctrWith(options, ...step.args);
    outputs.push(`exit ${code}\n${normalized(stdout, step, bench)}\n${normalized(stderr, step, bench)}`.trim());
  }
  await bench.assertNothingLeft();
  return outputs;
}

/** On a busy machine stock's shim, which both have here, now and then loses what a short process has printed. */
const runsMax = 3;

/** Commands that have printed the same never. */
function differencesOf(ours: readonly string[][], stocks: readonly string[][]): string[] {
  return taskScript("SCRATCH").flatMap(({ args }, index) =>
    stocks.some((stock) => ours.some((our) => our[index] === stock[index]))
      ? []
      : [`$ ctr ${args.join(" ")}\n--- stock\n${stocks.at(-1)![index]}\n--- barge\n${ours.at(-1)![index]}`]
  );
}

systemTest(
  "stock ctr sees no difference between tasks of barge's daemon and of stock containerd",
  ["busybox", "tar", "containerd", "containerd-shim-runc-v2", "runc", "ctr", "skopeo"],
  async () => {
    const stocks: string[][] = [], ours: string[][] = [];
    let differences: string[] = [];
    do {
      stocks.push(await perform("stock"));
      ours.push(await perform("barge"));
      differences = differencesOf(ours, stocks);
    } while (differences.length > 0 && ours.length < runsMax);
    assert.equal(differences.length, 0, differences.join("\n\n"));
    assert.ok(
      stocks[0]!.filter((output) => output.startsWith("exit 0")).length > 45,
      "too few commands succeed on stock",
    );
  },
);
