/**
 * Shims with several tasks that do not answer, as they are stopped: who asks for something is not held up, and what is
 * to go can go.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { ids, startThree, timely } from "./faults_fixture.ts";
import { listed, nothingLeft, programs, runtime, shimsOf, withOwnShim } from "./handover_fixture.ts";
import { image } from "./task_fixture.ts";

systemTest(
  "a stopped shim with three tasks: a new container goes elsewhere, and a resumed one goes on",
  programs,
  () =>
    withOwnShim(async (bench) => {
      const shim = await startThree(bench);
      Deno.kill(shim, "SIGSTOP");
      for (const id of ids) await listed(bench, new RegExp(`^${id} .*UNKNOWN$`, "m"));
      assert.match(bench.daemon.log, /shim does not answer/);
      await timely(
        bench,
        25,
        "run",
        "-d",
        ...runtime,
        image,
        "four",
        "sleep",
        "9",
      );
      await listed(bench, /^four .*RUNNING$/m);
      assert.equal(shimsOf(bench).length, 2);
      Deno.kill(shim, "SIGCONT");
      for (const id of ids) await listed(bench, new RegExp(`^${id} .*RUNNING$`, "m"));
      assert.equal(await bench.ask("tasks", "exec", "--exec-id", "x", "two", "echo", "here"), "here\n");
      assert.equal(shimsOf(bench).length, 2);
      for (const id of [...ids, "four"]) await bench.ask("tasks", "rm", "-f", id);
      await bench.ask("containers", "rm", ...ids, "four");
      await nothingLeft(bench);
    }),
);

systemTest(
  "a stopped shim whose tasks nobody takes over is killed when all of them are to end",
  programs,
  () =>
    withOwnShim(async (bench) => {
      const shim = await startThree(bench, false);
      Deno.kill(shim, "SIGSTOP");
      // A daemon that comes later finds it by what the bundles say.
      bench.daemon = await bench.daemon.restart("SIGKILL");
      await listed(bench, /^one .*UNKNOWN$/m);
      for (const { stderr } of await Promise.all(["one", "two"].map((id) => bench.ctr("tasks", "rm", id)))) {
        assert.match(stderr, /the shim of task \w+ \(process \d+\) did not answer/);
      }
      assert(shimsOf(bench).includes(shim));
      assert.match((await bench.ctr("tasks", "rm", "three")).stderr, /exit with non-zero exit code 137/);
      await listed(bench, /^TASK[^\n]*\n$/);
      await bench.ask("containers", "rm", ...ids);
      await nothingLeft(bench);
    }, { config: `[plugins."io.containerd.runtime.v2.task"]\ndead_shim = "cleanup"\n` }),
);
