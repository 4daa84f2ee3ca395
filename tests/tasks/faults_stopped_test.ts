/**
 * The shim stops before a step of a task's life: nobody waits for it for ever, everything can be deleted, every exit is
 * told once, and nothing is left.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { randomNumbers } from "../scratch.ts";
import { chosenSteps, faulty, sourceDaemon } from "../shim/faulty_shim.ts";
import { count, listed, listen, until } from "./handover_fixture.ts";
import { ownRuntime, type OwnShimBench, startOwnShimBench } from "./own_shim_fixture.ts";
import { image } from "./task_fixture.ts";

const chosen = 2;
const stubborn = "trap '' TERM; (sleep 1000 &); sleep 1000 & wait; sleep 1000";

/**
 * What a client does; it goes on where something has failed, and gives up waiting for the end of what a stopped shim does
 * not tell the end of.
 */
async function perform(bench: OwnShimBench, id: string): Promise<void> {
  const steps = [
    ["run", "-d", "--runtime", ownRuntime, image, id, "sh", "-c", stubborn],
    ["tasks", "exec", "--exec-id", "e", id, "true"],
    ["tasks", "kill", "-s", "TERM", id],
    ["tasks", "rm", "-f", id],
    ["containers", "rm", id],
  ];
  for (const words of steps) await bench.ctrWith({ timeoutMs: 20_000 }, ...words).catch(() => {});
}

/** A daemon whose shims have a fault, which counts for one of them; none is ahead, as it would count steps as well. */
async function startFaulty(env: Record<string, string>): Promise<OwnShimBench & { begin: string }> {
  const begin = await Deno.makeTempFile({ prefix: "barge-begin-" });
  const config = `[plugins."io.containerd.shim.v1.manager"]\nspare_shim = false\n`;
  const bench = await startOwnShimBench(
    { command: sourceDaemon, config, env: { ...env, BARGE_FAULT_BEGIN: begin } },
    faulty,
  );
  return Object.assign(bench, { begin });
}

function isStopped(pid: number): boolean {
  try {
    return /^State:\s*T/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    // It has ended meanwhile.
    return false;
  }
}

async function stepsOf(): Promise<string[]> {
  const log = await Deno.makeTempFile({ prefix: "barge-steps-" });
  try {
    await using bench = await startFaulty({ BARGE_FAULT_LOG: log });
    await perform(bench, "first");
    await Deno.remove(bench.begin);
    await bench.assertNothingLeft();
    return (await Deno.readTextFile(log)).split("\n").filter((line) => line.startsWith("kill "));
  } finally {
    await Deno.remove(log);
  }
}

/** Stops the shim before that step; what is left is then deleted. */
async function tryStep(at: number): Promise<void> {
  await using bench = await startFaulty({ BARGE_FAULT: `stop@${at}` });
  await using events = listen(bench);
  // Its successor is to have no fault.
  const stopped = until("the shim has stopped", () => bench.shims().some(isStopped)).catch(() => {})
    .then(() => Deno.remove(bench.begin));
  await perform(bench, "one");
  await stopped;
  await bench.ctr("tasks", "rm", "-f", "one");
  await bench.ctr("containers", "rm", "one");
  await listed(bench, /^TASK[^\n]*\n$/);
  assert.equal((await bench.ask("containers", "ls", "-q")).trim(), "");
  assert(count(events.stdout, `/tasks/exit {"container_id":"one","id":"one"`) <= 1, events.stdout);
  // One that has nothing any more is left alone: it ends as soon as it can.
  for (const pid of bench.shims().filter(isStopped)) Deno.kill(pid, "SIGCONT");
  await bench.assertNothingLeft();
}

systemTest(
  "TaskManager leaves nothing that cannot be deleted where the shim stops before a step of a task's life",
  ["busybox", "tar", "ctr", "skopeo"],
  async () => {
    const random = randomNumbers("stop the shim before a step of a task");
    const steps = await stepsOf();
    assert(steps.length > 20, `${steps.length} steps`);
    // Most of the time is spent waiting: all at once.
    const tried = chosenSteps(steps.length, chosen, random).map((at) =>
      tryStep(at).catch((error) => {
        throw new Error(`stopped before step ${at} of ${steps.length}, ${steps[at - 1]}`, { cause: error });
      })
    );
    for (const result of await Promise.allSettled(tried)) if (result.status === "rejected") throw result.reason;
  },
);
