/**
 * A script of everything that a shim is asked for, and shims that a step of it goes wrong in.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sourceRoot, succeed } from "../command.ts";
import { makeScratch, type Scratch } from "../scratch.ts";
import { BareShim } from "./bare_shim.ts";

/** What happens to a shim before a step, or in it: see `faulty_main.ts`. */
export type FaultKind = "kill" | "stop" | "fail";

const source: readonly string[] = [
  ...[Deno.execPath(), "run", "--allow-all", "--quiet", "--no-check", "--config", `${sourceRoot}/deno.json`],
];

/** Words that start barge with a fault, which its environment tells. */
export const faulty: readonly string[] = [...source, `${sourceRoot}/tests/shim/faulty_main.ts`];

/** Words that start a daemon of the same build: one that is installed gives its containers to installed shims only. */
export const sourceDaemon: readonly string[] = [...source, `${sourceRoot}/main.ts`, "daemon"];

/** Ids of the script's container and exec. */
export const names = { container: "c", exec: "e" } as const;

/** Writes what it is, ignores SIGTERM, and has a child that outlives its parent. */
const stubborn = "trap '' TERM; (sleep 1000 &); echo from $$; sleep 1000 & wait; sleep 1000";

/** Starts a shim of which a step of {@link perform} goes wrong; the 0th is none. */
export async function startFaulty(scratch: Scratch, kind: FaultKind, at: number): Promise<BareShim> {
  await succeed(["mkfifo", `${scratch.path}/out`]);
  const shim = await BareShim.start(scratch, {
    command: [...faulty, "shim"],
    env: {
      ...(at === 0 ? { BARGE_FAULT_LOG: `${scratch.path}/steps` } : { BARGE_FAULT: `${kind}@${at}` }),
      BARGE_FAULT_BEGIN: `${scratch.path}/begin`,
    },
  });
  await Deno.writeTextFile(`${scratch.path}/begin`, "");
  return shim;
}

/** Create, start, exec, signals, wait and delete. */
export async function perform(shim: BareShim): Promise<void> {
  const { scratch } = shim;
  const { container, exec } = names;
  const stdout = `${scratch.path}/out`;
  await shim.run(container, { args: ["sh", "-c", stubborn], stdout });
  await shim.exec(container, exec, ["sh", "-c", "echo out; echo err >&2; exit 3"], { stdout, stderr: stdout });
  assert.equal(await shim.wait(container, exec), 3);
  await shim.delete(container, exec);
  await shim.kill(container, 15);
  await shim.kill(container, 9);
  assert.equal(await shim.wait(container), 137);
  await shim.delete(container);
}

/** Names of the steps that the script takes, of one kind; the first is step 1. */
export async function stepsOf(kind: "kill" | "fail"): Promise<string[]> {
  await using scratch = await makeScratch();
  await using shim = await startFaulty(scratch, kind, 0);
  await perform(shim);
  const lines = (await Deno.readTextFile(`${scratch.path}/steps`)).trim().split("\n");
  return lines.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(kind.length + 1));
}

/** Steps of a run: as many as that, one of each part; all where `BARGE_KILL_STEPS=all`, which needs some minutes. */
export function chosenSteps(total: number, count: number, random: () => number): number[] {
  if (Deno.env.get("BARGE_KILL_STEPS") === "all") return Array.from({ length: total }, (_, index) => index + 1);
  return Array.from({ length: count }, (_, index) => 1 + Math.floor((index + random()) * total / count));
}
