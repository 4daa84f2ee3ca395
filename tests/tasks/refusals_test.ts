/**
 * What the tasks service answers where there is no such container, task or process, compared with stock containerd.
 */
import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { TasksDefinition } from "../../api/gen/services/tasks/v1/tasks.ts";
import { connect, dialUnix } from "../../api/grpc/client.ts";
import { systemTest } from "../command.ts";
import type { DaemonKind } from "../daemon/daemon_fixture.ts";
import { image, startTaskBench } from "./task_fixture.ts";

async function refusals(kind: DaemonKind): Promise<string[]> {
  await using bench = await startTaskBench({ kind });
  await bench.ask("run", "-d", image, "running", "sleep", "1000");
  await bench.ask("containers", "create", image, "idle");
  const metadata = { "containerd-namespace": bench.namespace };
  using channel = connect({ open: dialUnix(bench.daemon.address), metadata });
  const tasks = channel.client(TasksDefinition);
  const answers: string[] = [];
  const note = async (what: string, call: Promise<unknown>) => {
    const answer = await call.then(() => "done", (error) => {
      assert(error instanceof Failure, String(error));
      // Clients add this class's word themselves where it is missing.
      return `${error.code}: ${error.message.replace(/: unknown$/, "")}`;
    });
    answers.push(`${what}: ${answer.replaceAll(bench.namespace, "NS")}`);
  };
  for (const containerId of ["missing", "idle", "running"]) {
    for (const execId of containerId === "running" ? ["none"] : ["", "none"]) {
      const process = { containerId, execId };
      const name = `${containerId}/${execId}`;
      await note(`get ${name}`, tasks.get(process));
      await note(`start ${name}`, tasks.start(process));
      await note(`kill ${name}`, tasks.kill({ ...process, signal: 15, all: false }));
      await note(`wait ${name}`, tasks.wait(process));
      await note(`closeIO ${name}`, tasks.closeIO({ ...process, stdin: true }));
      await note(`resizePty ${name}`, tasks.resizePty({ ...process, width: 80, height: 25 }));
      await note(`deleteProcess ${name}`, tasks.deleteProcess({ containerId, execId: "none" }));
    }
    if (containerId === "running") continue;
    for (const method of ["pause", "resume", "listPids", "delete"] as const) {
      await note(`${method} ${containerId}`, tasks[method]({ containerId }));
    }
  }
  await note("delete running", tasks.delete({ containerId: "running" }));
  await bench.ask("tasks", "rm", "-f", "running");
  return answers;
}

systemTest(
  "the tasks service refuses what is not there with stock containerd's codes and words",
  ["busybox", "tar", "containerd", "containerd-shim-runc-v2", "runc", "ctr", "skopeo"],
  async () => {
    const stock = await refusals("stock");
    assert(stock.every((answer) => !answer.endsWith("done")), stock.join("\n"));
    assert.deepEqual(await refusals("barge"), stock);
  },
);
