/**
 * The restart monitor, with stock shims and `ctr`.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { image, startTaskBench } from "./task_fixture.ts";

const programs = ["busybox", "tar", "containerd-shim-runc-v2", "runc", "ctr", "skopeo"];
const config = '[plugins."io.containerd.internal.v1.restart"]\ninterval = "200ms"\n';
const label = (name: string, value: string) => ["--label", `containerd.io/restart.${name}=${value}`];

systemTest("RestartMonitor starts containers again as their labels say", programs, async () => {
  await using bench = await startTaskBench({ config });
  const start = async (id: string, labels: readonly string[], ...command: string[]) => {
    await bench.ask("run", "-d", ...label("status", "running"), ...labels, image, id, ...command);
  };
  const log = `${bench.scratch.path}/always.log`;
  await start("always", label("loguri", `file://${log}`), "sh", "-c", "echo life; sleep 0.3");
  await start("fails", label("policy", "on-failure:2"), "sh", "-c", "exit 3");
  await start("succeeds", label("policy", "on-failure"), "true");
  await start("no", label("policy", "no"), "true");
  await start("unless", label("policy", "unless-stopped"), "sleep", "1000");
  // One that lost its task, as by a restart of the host, is started as well.
  await start("lost", [], "sleep", "1000");
  await bench.ctr("tasks", "rm", "-f", "lost");
  await bench.until(/"containerd.io\/restart.count": "2"/, "containers", "info", "fails");
  await bench.until(/^fails .*STOPPED/m, "tasks", "ls");
  // The count is set before the start.
  await bench.until(/"containerd.io\/restart.count": "[3-9]"/, "containers", "info", "always");
  assert.match(await Deno.readTextFile(log), /^life\nlife\n/, bench.daemon.log);
  for (const id of ["succeeds", "no"]) {
    assert.doesNotMatch(await bench.ask("containers", "info", id), /restart.count/);
  }
  const tasks = await bench.ask("tasks", "ls");
  assert.match(tasks, /^unless .*RUNNING/m);
  await bench.ask("tasks", "kill", "-s", "9", "unless");
  await bench.until(/"containerd.io\/restart.count": "1"/, "containers", "info", "unless");
  await bench.until(/^unless .*RUNNING/m, "tasks", "ls");
  // As `nerdctl stop` does it.
  await bench.ask("containers", "label", "unless", "containerd.io/restart.explicitly-stopped=true");
  await bench.ask("tasks", "kill", "-s", "9", "unless");
  await bench.until(/^unless .*STOPPED/m, "tasks", "ls");
  await bench.ask("containers", "label", "always", "containerd.io/restart.status=stopped");
  await bench.until(/"containerd.io\/restart.status": "stopped"/, "containers", "info", "always");
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.match(await bench.ask("tasks", "ls"), /^unless .*STOPPED/m);
  assert.doesNotMatch(await bench.ask("tasks", "ls"), /^always .*RUNNING/m);
  await bench.until(/^lost .*RUNNING/m, "tasks", "ls");
  await bench.ask("containers", "label", "lost", "containerd.io/restart.status=stopped");
  assert.match(await bench.ask("containers", "info", "fails"), /"containerd.io\/restart.count": "2"/);
  for (const id of ["always", "fails", "succeeds", "no", "unless", "lost"]) {
    await bench.ctr("tasks", "rm", "-f", id);
    await bench.ask("containers", "rm", id);
  }
  await bench.assertNothingLeft();
});
