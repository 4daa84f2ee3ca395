/**
 * The daemon is killed before a step of a task's life, with containers in barge's own shim: the next daemon finds what is
 * there, everything can be deleted, and nothing is left.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { startDaemon } from "../daemon/daemon_fixture.ts";
import { randomNumbers } from "../scratch.ts";
import { chosenSteps, faulty } from "../shim/faulty_shim.ts";
import { ownRuntime, type OwnShimBench, startOwnShimBench } from "./own_shim_fixture.ts";
import { image } from "./task_fixture.ts";

const chosen = 4;
const stubborn = "trap '' TERM; (sleep 1000 &); sleep 1000 & wait; sleep 1000";

/** Starts another daemon of which a step goes wrong; the 0th is none, and the steps are written down. */
async function startFaulty(bench: OwnShimBench, at: number): Promise<void> {
  const { options, directory } = bench.daemon;
  await bench.daemon.stop("SIGKILL");
  const begin = `${bench.scratch.path}/begin`;
  const fault = at === 0 ? { BARGE_FAULT_LOG: `${bench.scratch.path}/steps` } : { BARGE_FAULT: `kill@${at}` };
  const env = { ...options.env, ...fault, BARGE_FAULT_BEGIN: begin };
  bench.daemon = await startDaemon({ ...options, directory, command: [...faulty, "daemon"], env });
  await Deno.writeTextFile(begin, "");
  // Its successor is an ordinary one.
  Object.assign(bench.daemon, { options });
}

/** What a client does; it gives up where the daemon has gone. */
async function perform(bench: OwnShimBench, id: string): Promise<void> {
  const steps = [
    ["run", "-d", "--runtime", ownRuntime, image, id, "sh", "-c", stubborn],
    ["tasks", "exec", "--exec-id", "e", id, "true"],
    ["tasks", "kill", "-s", "TERM", id],
    ["tasks", "rm", "-f", id],
    ["containers", "rm", id],
  ];
  for (const words of steps) if ((await bench.ctrWith({ timeoutMs: 40_000 }, ...words)).code !== 0) return;
}

systemTest(
  "TaskManager leaves nothing that cannot be deleted where the daemon is killed before a step of a task's life",
  ["busybox", "tar", "ctr", "skopeo"],
  async () => {
    const random = randomNumbers("kill the daemon before a step of a task");
    await using bench = await startOwnShimBench();
    await startFaulty(bench, 0);
    await perform(bench, "first");
    const lines = (await Deno.readTextFile(`${bench.scratch.path}/steps`)).split("\n");
    const steps = lines.filter((line) => line.startsWith("kill "));
    assert(steps.length > 20, `${steps.length} steps`);
    for (const at of chosenSteps(steps.length, chosen, random)) {
      const id = `c${at}`;
      try {
        await Deno.remove(`${bench.scratch.path}/begin`);
        await startFaulty(bench, at);
        await perform(bench, id);
        bench.daemon = await bench.daemon.restart("SIGKILL");
        await bench.ctr("tasks", "rm", "-f", id);
        await bench.ctr("containers", "rm", id);
        assert.match(await bench.ask("tasks", "ls"), /^TASK[^\n]*\n$/);
        assert.equal((await bench.ask("containers", "ls", "-q")).trim(), "");
      } catch (error) {
        throw new Error(`killed before step ${at} of ${steps.length}, ${steps[at - 1]}`, { cause: error });
      }
    }
    await bench.assertNothingLeft();
  },
);
