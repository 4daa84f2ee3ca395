/**
 * Barge's own shims of which nothing is taken over: those that the configuration lets end with their containers, and those
 * that only stand still.
 */
import assert from "node:assert/strict";
import { TasksDefinition } from "../../api/gen/services/tasks/v1/tasks.ts";
import { systemTest } from "../command.ts";
import {
  channelOf,
  count,
  killShim,
  left,
  listed,
  listen,
  nothingLeft,
  programs,
  run,
  runtime,
  shimsOf,
  withOwnShim,
} from "./handover_fixture.ts";
import { image } from "./task_fixture.ts";

systemTest(
  'with dead_shim = "cleanup" the containers of a killed shim end, and another shim takes new ones',
  programs,
  () =>
    withOwnShim(async (bench) => {
      await using events = listen(bench);
      for (const id of ["one", "two"]) await run(bench, id, "sleep", "1000");
      await killShim(bench);
      await listed(bench, /^TASK.*\n$/);
      for (const id of ["one", "two"]) {
        await events.says(`/tasks/delete {"container_id":"${id}"`);
        assert.equal(
          count(events.stdout, `/tasks/exit {"container_id":"${id}","id":"${id}","pid":\\d+,"exit_status":137,`),
          1,
        );
      }
      assert.equal(await bench.ask("run", "--rm", ...runtime, image, "three", "echo", "hello"), "hello\n");
      for (const id of ["one", "two"]) await bench.ask("containers", "rm", id);
      await nothingLeft(bench);
    }, { config: `[plugins."io.containerd.runtime.v2.task"]\ndead_shim = "cleanup"\n` }),
);

systemTest(
  "a stopped shim's tasks are listed and named in errors, and no other shim's are held up",
  programs,
  () =>
    withOwnShim(async (bench) => {
      const other = `${bench.namespace}-b`;
      await run(bench, "hung", "sleep", "1000");
      await left(bench, "hung");
      const [shim] = shimsOf(bench);
      await bench.daemon.ask("-n", other, "images", "import", bench.archive);
      await bench.daemon.ask("-n", other, "run", "-d", ...runtime, image, "well", "sleep", "1000");
      try {
        Deno.kill(shim!, "SIGSTOP");
        await listed(bench, /^hung .*UNKNOWN$/m);
        using channel = channelOf(bench);
        await assert.rejects(
          channel.client(TasksDefinition).get({ containerId: "hung", execId: "x" }),
          { message: new RegExp(`the shim of task hung \\(process ${shim}\\) did not answer state within 2 s`) },
        );
        const began = performance.now();
        assert.equal(
          await bench.daemon.ask("-n", other, "tasks", "exec", "--exec-id", "x", "well", "echo", "in"),
          "in\n",
        );
        assert(performance.now() - began < 20_000, "another shim's task was held up");
        Deno.kill(shim!, "SIGCONT");
        await listed(bench, /^hung .*RUNNING$/m);
      } finally {
        Deno.kill(shim!, "SIGCONT");
        await bench.daemon.ctr("-n", other, "tasks", "rm", "-f", "well");
        await bench.daemon.ctr("-n", other, "containers", "rm", "well");
        for (const path of bench.scratch.cgroups()) if (path.endsWith(`/${other}`)) await Deno.remove(path);
      }
      await bench.ask("tasks", "rm", "-f", "hung");
      await bench.ask("containers", "rm", "hung");
      await nothingLeft(bench);
    }),
);
