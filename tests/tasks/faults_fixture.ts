/**
 * Shims with several tasks, for tests of what becomes of these when the shim does not answer.
 *
 * @module
 */
import assert from "node:assert/strict";
import { left, run, shimsOf } from "./handover_fixture.ts";
import type { TaskBench } from "./task_fixture.ts";

/** The containers of {@link startThree}. */
export const ids = ["one", "two", "three"];

/** Three containers in one shim, whose process it gives. `areSucceeded` says that it leaves what its successors need. */
export async function startThree(bench: TaskBench, areSucceeded = true): Promise<number> {
  for (const id of ids) await run(bench, id, "sh", "-c", "trap '' TERM; sleep 1000");
  if (areSucceeded) { for (const id of ids) await left(bench, id); }
  const [shim, ...others] = shimsOf(bench);
  assert(shim !== undefined && others.length === 0);
  return shim;
}

/** Runs ctr, which must succeed within so many seconds: more than it takes, and less than its deadlines. */
export async function timely(bench: TaskBench, secondsMax: number, ...args: string[]): Promise<string> {
  const began = performance.now();
  const { code, stdout, stderr } = await bench.ctr(...args);
  const seconds = (performance.now() - began) / 1000;
  assert.equal(code, 0, `ctr ${args.join(" ")}: ${stderr}\n${bench.daemon.log}`);
  assert(seconds < secondsMax, `ctr ${args.join(" ")} took ${seconds} s`);
  return stdout;
}
