/**
 * Shims with several tasks that do not answer, as they are stopped or get hardly any of the processor: who asks for
 * something is not held up, and what is to go can go.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import {
  count,
  left,
  listed,
  listen,
  nothingLeft,
  programs,
  run,
  runtime,
  shimsOf,
  until,
  withOwnShim,
} from "./handover_fixture.ts";
import { image, type TaskBench } from "./task_fixture.ts";

/** The containers of {@link startThree}. */
const ids = ["one", "two", "three"];

/** Three containers in one shim, whose process it gives. `areSucceeded` says that it leaves what its successors need. */
async function startThree(bench: TaskBench, areSucceeded = true): Promise<number> {
  for (const id of ids) await run(bench, id, "sh", "-c", "trap '' TERM; sleep 1000");
  if (areSucceeded) { for (const id of ids) await left(bench, id); }
  const [shim, ...others] = shimsOf(bench);
  assert(shim !== undefined && others.length === 0);
  return shim;
}

/** Runs ctr, which must succeed within so many seconds: more than it takes, and less than its deadlines. */
async function timely(bench: TaskBench, secondsMax: number, ...args: string[]): Promise<string> {
  const began = performance.now();
  const { code, stdout, stderr } = await bench.ctr(...args);
  const seconds = (performance.now() - began) / 1000;
  assert.equal(code, 0, `ctr ${args.join(" ")}: ${stderr}\n${bench.daemon.log}`);
  assert(seconds < secondsMax, `ctr ${args.join(" ")} took ${seconds} s`);
  return stdout;
}

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

/** A task of a stopped shim is ended, then one of its successor is deleted: another shim takes over the others. */
function endReplaced(): Promise<void> {
  return withOwnShim(async (bench) => {
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
  });
}

/** A stopped shim whose tasks nobody takes over is killed when all of them are to end. */
function endUnwanted(): Promise<void> {
  return withOwnShim(async (bench) => {
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
  }, { config: `[plugins."io.containerd.runtime.v2.task"]\ndead_shim = "cleanup"\n` });
}

const hierarchy = "/sys/fs/cgroup/cpu";
const canStarve = await Deno.stat(`${hierarchy}/cpu.cfs_quota_us`).then(() => true, () => false);

/** A shim that gets a thousandth of a processor has some seconds for what takes it some milliseconds; else it is replaced. */
function endStarved(): Promise<void> {
  return withOwnShim(async (bench) => {
    for (const id of ["one", "two"]) await run(bench, id, "sh", "-c", "trap '' TERM; sleep 1000");
    for (const id of ["one", "two"]) await left(bench, id);
    const [shim, ...others] = shimsOf(bench);
    assert(shim !== undefined && others.length === 0);
    const cgroup = `${hierarchy}/${bench.namespace}-starved`;
    await Deno.mkdir(cgroup);
    try {
      await Deno.writeTextFile(`${cgroup}/cpu.cfs_period_us`, "1000000");
      await Deno.writeTextFile(`${cgroup}/cpu.cfs_quota_us`, "1000");
      await Deno.writeTextFile(`${cgroup}/cgroup.procs`, String(shim));
      await bench.ask("tasks", "rm", "-f", "one");
      await Deno.writeTextFile(`${cgroup}/cpu.cfs_quota_us`, "-1");
      await listed(bench, /^two .*RUNNING$/m);
      await bench.ask("tasks", "rm", "-f", "two");
    } finally {
      await Deno.writeTextFile(`${cgroup}/cpu.cfs_quota_us`, "-1");
      for (const pid of shimsOf(bench)) Deno.kill(pid, "SIGTERM");
      await until("the starved shim has ended", () => Deno.readTextFileSync(`${cgroup}/cgroup.procs`) === "");
      await Deno.remove(cgroup);
    }
    await bench.ask("containers", "rm", "one", "two");
    await nothingLeft(bench);
  });
}

/** Most of the time is spent waiting: all at once. Throws what they throw when the last one has come to its end. */
async function together(...scenarios: readonly (() => Promise<void>)[]): Promise<void> {
  const results = await Promise.allSettled(scenarios.map((scenario) => scenario()));
  const reasons = results.flatMap((result) => result.status === "rejected" ? [result.reason] : []);
  if (reasons.length > 0) throw reasons.length === 1 ? reasons[0] : new AggregateError(reasons);
}

systemTest(
  "the tasks of a shim that is stopped or starved can be ended and deleted" +
    (canStarve ? "" : " (starved: skipped, no quotas of cgroup version 1)"),
  programs,
  () => together(endReplaced, endUnwanted, ...canStarve ? [endStarved] : []),
);
