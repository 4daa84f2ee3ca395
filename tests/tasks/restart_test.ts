/**
 * Tasks outlive the daemon, and the daemon outlives shims: restarts, killed and hung shims, with stock shims and `ctr`.
 */
import assert from "node:assert/strict";
import { Running, systemTest } from "../command.ts";
import { image, startTaskBench, type TaskBench } from "./task_fixture.ts";
import { patientEnd } from "../patience.ts";

const programs = ["busybox", "tar", "containerd-shim-runc-v2", "runc", "ctr", "skopeo"];

/** Collects what `ctr events` prints about tasks. */
function listen(bench: TaskBench): Running {
  return new Running(["ctr", "--address", bench.daemon.address, "events"]);
}

/** Waits until a file is there. Throws after 20 s. */
async function until(path: string): Promise<void> {
  for (const end = patientEnd(20_000);;) {
    if (await Deno.stat(path).then(() => true, () => false)) return;
    assert(performance.now() < end, `${path} does not come`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Stops a process, and waits until all of its threads stand still. */
async function stop(pid: number): Promise<void> {
  Deno.kill(pid, "SIGSTOP");
  const stands = (thread: string) =>
    /^State:\s*[tT]/m.test(Deno.readTextFileSync(`/proc/${pid}/task/${thread}/status`));
  for (const end = patientEnd(5000);;) {
    if ([...Deno.readDirSync(`/proc/${pid}/task`)].every(({ name }) => stands(name))) return;
    assert(performance.now() < end, `process ${pid} does not stop`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const count = (text: string, pattern: RegExp) => [...text.matchAll(new RegExp(pattern, "g"))].length;

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  systemTest(`TaskManager.open() finds running tasks again after ${signal} of the daemon`, programs, async () => {
    await using bench = await startTaskBench();
    await bench.ask("run", "-d", image, "runs", "sleep", "1000");
    await bench.ask("run", "-d", image, "paused", "sleep", "1000");
    await bench.ask("tasks", "pause", "paused");
    const before = await bench.ask("tasks", "ls");
    bench.daemon = await bench.daemon.restart(signal);
    const sorted = (text: string) => text.split("\n").sort();
    assert.deepEqual(sorted(await bench.ask("tasks", "ls")), sorted(before));
    await using events = listen(bench);
    await using waiting = bench.start("tasks", "attach", "runs");
    assert.equal(await bench.ask("tasks", "exec", "--exec-id", "x", "runs", "echo", "again"), "again\n");
    await bench.ask("tasks", "resume", "paused");
    await bench.ask("tasks", "kill", "-s", "9", "paused");
    await bench.until(/^paused .*STOPPED/m, "tasks", "ls");
    await events.says(`/tasks/exit {"container_id":"paused","id":"paused"`);
    await bench.ask("tasks", "rm", "paused");
    await bench.ask("tasks", "kill", "-s", "9", "runs");
    // It removes the task as well.
    assert.equal((await waiting.finished).code, 137);
    await bench.ask("containers", "rm", "runs", "paused");
    await bench.assertNothingLeft();
  });
}

systemTest("TaskManager.open() tells an exit that no daemon has told, once", programs, async () => {
  await using bench = await startTaskBench();
  await bench.ask("run", "-d", image, "ends", "sleep", "1000");
  const ending = Number(/^ends +(\d+)/m.exec(await bench.ask("tasks", "ls"))![1]);
  await bench.daemon.stop();
  Deno.kill(ending, "SIGKILL");
  bench.daemon = await bench.daemon.restart();
  await bench.until(/^ends .*STOPPED$/m, "tasks", "ls");
  // Its shim tells the new daemon, which notes that; without the note it is as if the shim had given up.
  const note = `${bench.daemon.state}/io.containerd.runtime.v2.task/${bench.namespace}/ends/exit-told`;
  await until(note);
  await bench.daemon.stop("SIGKILL");
  await Deno.remove(note);
  bench.daemon = await bench.daemon.restart();
  await using events = listen(bench);
  await events.says(`/tasks/exit {"container_id":"ends","id":"ends","pid":${ending},"exit_status":137,`);
  await until(note);
  assert.equal((await bench.ctr("tasks", "rm", "ends")).code, 0);
  await events.says(`/tasks/delete {"container_id":"ends"`);
  assert.equal(count(events.stdout, /\/tasks\/exit /), 1);
  await bench.ask("containers", "rm", "ends");
  await bench.assertNothingLeft();
});

systemTest("TaskManager.open() cleans up after shims that died without a daemon", programs, async () => {
  await using bench = await startTaskBench();
  await bench.ask("run", "-d", image, "dead", "sleep", "1000");
  await bench.ask("run", "-d", image, "alive", "sleep", "1000");
  const shim = bench.shimOf("dead");
  await bench.daemon.stop("SIGKILL");
  Deno.kill(shim, "SIGKILL");
  bench.daemon = await bench.daemon.restart();
  await using events = listen(bench);
  assert.match(await bench.ask("tasks", "ls", "-q"), /^alive\n$/);
  await events.says(`/tasks/delete {"container_id":"dead"`);
  assert.match(events.stdout, /\/tasks\/exit \{"container_id":"dead","id":"dead","pid":\d+,"exit_status":137,/);
  await bench.ask("tasks", "start", "-d", "dead");
  await bench.ask("tasks", "rm", "-f", "dead");
  await bench.ask("tasks", "rm", "-f", "alive");
  await bench.assertNothingLeft();
});

systemTest("TaskManager cleans up after a killed shim, tells its exit once and ends who waits", programs, async () => {
  await using bench = await startTaskBench();
  await using events = listen(bench);
  await bench.ask("run", "-d", image, "one", "sleep", "1000");
  await using attached = bench.start("run", "--rm", image, "two", "sleep", "1000");
  await bench.until(/^two .*RUNNING/m, "tasks", "ls");
  const bundle = `${bench.daemon.state}/io.containerd.runtime.v2.task/${bench.namespace}/one`;
  const socket = JSON.parse(await Deno.readTextFile(`${bundle}/bootstrap.json`)).address.slice("unix://".length);
  assert.equal(Deno.statSync(socket).isSocket, true);
  Deno.kill(bench.shimOf("one"), "SIGKILL");
  Deno.kill(bench.shimOf("two"), "SIGKILL");
  const { code, stderr } = await attached.finished;
  assert.equal(code, 137, stderr);
  await bench.until(/^TASK.*\n$/, "tasks", "ls");
  for (const id of ["one", "two"]) {
    await events.says(`/tasks/delete {"container_id":"${id}"`);
    assert.equal(count(events.stdout, new RegExp(`/tasks/exit {"container_id":"${id}"`)), 1);
  }
  assert.throws(() => Deno.statSync(socket), Deno.errors.NotFound);
  await bench.ask("containers", "rm", "one");
  await bench.assertNothingLeft();
});

systemTest("TaskManager tells no second exit where the shim dies after it has told one", programs, async () => {
  await using bench = await startTaskBench();
  await using events = listen(bench);
  await bench.ask("run", "-d", image, "one", "sleep", "0.2");
  await events.says(`/tasks/exit {"container_id":"one"`);
  Deno.kill(bench.shimOf("one"), "SIGKILL");
  await events.says(`/tasks/delete {"container_id":"one"`);
  assert.equal(count(events.stdout, /\/tasks\/exit /), 1);
  await bench.assertNothingLeft();
});

systemTest("TaskManager waits for no hung shim, and deletes its task", programs, async () => {
  await using bench = await startTaskBench();
  await bench.ask("run", "-d", image, "hung", "sleep", "1000");
  await bench.ask("run", "-d", image, "well", "sleep", "1000");
  const shim = bench.shimOf("hung");
  await stop(shim);
  const timed = async (...args: string[]) => {
    const start = performance.now();
    const result = await bench.ctr(...args);
    return { ...result, tookMs: performance.now() - start };
  };
  const first = await timed("tasks", "ls");
  assert.match(first.stdout, /^hung .*UNKNOWN$/m, `${JSON.stringify(first)} ${bench.daemon.log}`);
  assert.match(first.stdout, /^well .*RUNNING$/m);
  const second = await timed("tasks", "ls");
  assert.match(second.stdout, /^hung .*UNKNOWN$/m);
  assert(second.tookMs < 1000, `a list with a shim known to hang took ${second.tookMs} ms`);
  const metrics = await timed("tasks", "metrics", "well");
  assert.equal(metrics.code, 0, metrics.stderr);
  assert.equal((await bench.ctr("tasks", "exec", "--exec-id", "x", "well", "true")).code, 0);
  // It answers again: nothing has happened to its task.
  Deno.kill(shim, "SIGCONT");
  await bench.until(/^hung .*RUNNING/m, "tasks", "ls");
  await stop(shim);
  bench.daemon = await bench.daemon.restart("SIGKILL");
  assert.match((await timed("tasks", "ls")).stdout, /^hung .*UNKNOWN$/m);
  await bench.daemon.stop();
  Deno.kill(shim, "SIGCONT");
  bench.daemon = await bench.daemon.restart();
  assert.match(await bench.ask("tasks", "ls"), /^hung .*RUNNING$/m);
  await stop(shim);
  const removal = await timed("tasks", "rm", "hung");
  assert.match(removal.stderr, /task hung exit with non-zero exit code 137/);
  assert(removal.tookMs < 10_000, `deleting took ${removal.tookMs} ms`);
  await bench.ask("tasks", "rm", "-f", "well");
  await bench.ask("containers", "rm", "hung", "well");
  await bench.assertNothingLeft();
});
