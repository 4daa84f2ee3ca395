/** Adoption of containers that run. */
import assert from "node:assert/strict";
import { barge, succeed, systemTest } from "../command.ts";
import { startDaemon } from "../daemon/daemon_fixture.ts";
import { image, startTaskBench } from "../tasks/task_fixture.ts";

systemTest(
  "containers that run under a stock containerd run on under a barge daemon that has adopted them",
  ["busybox", "tar", "containerd", "containerd-shim-runc-v2", "runc", "ctr", "skopeo"],
  async () => {
    await using bench = await startTaskBench({ kind: "stock" });
    await bench.ask("run", "-d", image, "runs", "sleep", "600");
    const tasks = await bench.ask("tasks", "ls");
    assert.match(tasks, /^runs .*RUNNING/m);
    await succeed([...barge, "adopt", "-a", bench.daemon.address]);
    await bench.daemon.stop();
    bench.daemon = await startDaemon({ directory: bench.daemon.directory });
    assert.equal(await bench.ask("tasks", "ls"), tasks);
    assert.equal(await bench.ask("tasks", "exec", "--exec-id", "x", "runs", "echo", "on"), "on\n");
    await bench.ask("tasks", "kill", "-s", "9", "runs");
    await bench.until(/^runs .*STOPPED/m, "tasks", "ls");
    assert.match((await bench.ctr("tasks", "rm", "runs")).stderr, /exit code 137/);
    await bench.ask("containers", "rm", "runs");
    await bench.assertNothingLeft();
  },
);
