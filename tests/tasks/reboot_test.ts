/**
 * Tasks of a machine that was started anew, whose state directory was kept: nothing of them runs, and nothing is mounted.
 */
import assert from "node:assert/strict";
import { execute, systemTest } from "../command.ts";
import { image, startTaskBench, type TaskBench } from "./task_fixture.ts";

const programs = ["busybox", "tar", "containerd", "containerd-shim-runc-v2", "runc", "ctr", "skopeo"];

/** Takes away what a start of the machine takes away; `kept` names the runtime's states, where they are kept as well. */
async function reboot(bench: TaskBench, pids: readonly number[], kept: boolean): Promise<void> {
  await bench.daemon.stop("SIGKILL");
  for (const pid of [...bench.processes().map(({ pid }) => pid), ...pids]) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  for (const end = performance.now() + 5_000; bench.processes().length > 0 && performance.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const mounts = bench.scratch.mounts().filter((path) => path.startsWith(`${bench.daemon.directory}/`));
  for (const path of mounts.reverse()) await execute(["umount", "-l", path]);
  for (const path of bench.scratch.cgroups()) await Deno.remove(path).catch(() => {});
  const noted = `${bench.daemon.state}/io.containerd.runtime.v2.task/.machine`;
  // The first part is the kernel's name for its start.
  await Deno.writeTextFile(noted, (await Deno.readTextFile(noted)).replace(/^\S+/, crypto.randomUUID()));
  if (!kept) await Deno.remove(`/run/containerd/runc/${bench.namespace}`, { recursive: true }).catch(() => {});
}

for (const runtime of ["io.containerd.runc.v2", "io.containerd.ts.v2"]) {
  for (const kept of [false, true]) {
    systemTest(
      `a task of ${runtime} can be started after a restart of the machine${
        kept ? " that kept the runtime's state" : ""
      }`,
      programs,
      async () => {
        await using bench = await startTaskBench();
        for (const id of ["one", "two"]) await bench.ask("run", "-d", "--runtime", runtime, image, id, "sleep", "1000");
        await bench.ask("tasks", "kill", "-s", "KILL", "two");
        await bench.until(/two\s+\d+\s+STOPPED/, "tasks", "ls");
        const pid = Number(/one\s+(\d+)\s+RUNNING/.exec(await bench.ask("tasks", "ls"))![1]);
        await reboot(bench, [pid], kept);
        bench.daemon = await bench.daemon.restart("SIGKILL");
        for (const id of ["one", "two"]) {
          const { code, stderr } = await bench.ctr("tasks", "start", "-d", id);
          assert.equal(code, 0, `${id}: ${stderr}\n${bench.daemon.log}`);
          assert.match(await bench.ask("tasks", "ls"), new RegExp(`${id}\\s+\\d+\\s+RUNNING`));
          await bench.ask("tasks", "rm", "-f", id);
          await bench.ask("containers", "rm", id);
        }
        // Shims of barge's own stay a while for the next container.
        if (runtime === "io.containerd.runc.v2") await bench.assertNothingLeft();
      },
    );
  }
}
