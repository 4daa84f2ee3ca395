/**
 * A shim that does not answer is replaced where somebody wants one of its tasks to end.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { ids, startThree, timely } from "./faults_fixture.ts";
import { count, left, listed, listen, nothingLeft, programs, shimsOf, until, withOwnShim } from "./handover_fixture.ts";

systemTest(
  "a task of a stopped shim can be ended and deleted, and another shim takes over the others",
  programs,
  () =>
    withOwnShim(async (bench) => {
      const shim = await startThree(bench);
      await using events = listen(bench);
      Deno.kill(shim, "SIGSTOP");
      await timely(bench, 40, "tasks", "rm", "-f", "one");
      await until("the stopped shim is gone", () => !shimsOf(bench).includes(shim));
      for (const id of ["two", "three"]) await listed(bench, new RegExp(`^${id} .*RUNNING$`, "m"));
      assert.equal(await bench.ask("tasks", "exec", "--exec-id", "x", "two", "echo", "here"), "here\n");
      // Without a signal before, a stopped shim's task of which nothing is known is deleted with what runs in it.
      const [next] = shimsOf(bench);
      await left(bench, "two");
      await left(bench, "three");
      Deno.kill(next!, "SIGSTOP");
      await listed(bench, /^two .*UNKNOWN$/m);
      const { stderr } = await bench.ctr("tasks", "rm", "two");
      assert.match(stderr, /task two exit with non-zero exit code 137/, bench.daemon.log);
      await listed(bench, /^three .*RUNNING$/m);
      await timely(bench, 20, "tasks", "rm", "-f", "three");
      for (const id of ids) {
        await events.says(`/tasks/delete {"container_id":"${id}"`);
        assert.equal(count(events.stdout, `/tasks/exit {"container_id":"${id}","id":"${id}"`), 1);
      }
      await bench.ask("containers", "rm", ...ids);
      await nothingLeft(bench);
    }),
);
