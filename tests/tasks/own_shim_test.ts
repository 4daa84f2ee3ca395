/**
 * Barge's own shim under barge's daemon, with stock `ctr`: one shim for all containers of a namespace.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { ownRuntime, startOwnShimBench } from "./own_shim_fixture.ts";
import { image, type TaskBench } from "./task_fixture.ts";
import { patientEnd } from "../patience.ts";

const programs = ["busybox", "tar", "ctr", "skopeo"];
const runtime = ["--runtime", ownRuntime];

async function withOwnShim(body: (bench: TaskBench) => Promise<void>): Promise<void> {
  await using bench = await startOwnShimBench();
  await body(bench);
}

/** Shims that serve; each container's own are told apart by what they wait for. */
const shims = (bench: TaskBench) => bench.servers();

systemTest(
  "barge's daemon puts all containers of a namespace into one shim",
  programs,
  () =>
    withOwnShim(async (bench) => {
      const ids = Array.from({ length: 8 }, (_, index) => `c${index}`);
      await Promise.all(ids.map((id) => bench.ask("run", "-d", ...runtime, image, id, "sleep", "1000")));
      assert.equal(shims(bench).length, 1);
      const listed = await bench.ask("tasks", "ls");
      for (const id of ids) assert.match(listed, new RegExp(`^${id} .*RUNNING$`, "m"));
      assert.equal(await bench.ask("run", "--rm", ...runtime, image, "short", "echo", "hello"), "hello\n");
      assert.equal((await bench.ctr("run", "--rm", ...runtime, image, "fails", "sh", "-c", "exit 7")).code, 7);
      assert.equal(await bench.ask("tasks", "exec", "--exec-id", "x", "c1", "echo", "in"), "in\n");
      // Another daemon finds the tasks again, and the shim.
      bench.daemon = await bench.daemon.restart("SIGKILL");
      assert.equal(await bench.ask("tasks", "exec", "--exec-id", "x", "c2", "echo", "in"), "in\n");
      await bench.ask("run", "-d", ...runtime, image, "later", "sleep", "1000");
      assert.equal(shims(bench).length, 1);
      for (const id of [...ids, "later"]) {
        await bench.ask("tasks", "rm", "-f", id);
        await bench.ask("containers", "rm", id);
      }
      // It waits for further containers, and ends when none comes.
      assert.equal(shims(bench).length, 1);
      for (const end = patientEnd(15_000); shims(bench).length > 0;) {
        assert(performance.now() < end, "the shim stays for ever");
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      await bench.assertNothingLeft();
    }),
);
