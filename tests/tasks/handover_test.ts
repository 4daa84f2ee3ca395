/**
 * Barge's own shims die, and others take their containers over: under barge's daemon, with stock `ctr`.
 */
import assert from "node:assert/strict";
import { SnapshotsDefinition } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { CreateTaskRequest, TasksDefinition } from "../../api/gen/services/tasks/v1/tasks.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { Running, systemTest } from "../command.ts";
import {
  bundleOf,
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
  until,
  withOwnShim,
} from "./handover_fixture.ts";
import { openFilesOf } from "../open_files.ts";
import { image, type TaskBench } from "./task_fixture.ts";

/** A command that runs until SIGTERM, and ends with the code then. */
const endsWith = (code: number) => ["sh", "-c", `trap 'exit ${code}' TERM; while :; do sleep 0.05; done`];

const pidOf = async (bench: TaskBench, id: string) =>
  Number(new RegExp(`^${id} +(\\d+)`, "m").exec(await bench.ask("tasks", "ls"))![1]);

/** Ends a container by SIGTERM, and removes it. Throws where its code is another one. */
async function endAndRemove(bench: TaskBench, id: string, code: number): Promise<void> {
  await bench.ask("tasks", "kill", id);
  await listed(bench, new RegExp(`^${id} .*STOPPED`, "m"));
  const { stderr } = await bench.ctr("tasks", "rm", id);
  assert.match(stderr, new RegExp(`task ${id} exit with non-zero exit code ${code}`));
  await bench.ask("containers", "rm", id);
}

systemTest(
  "a killed shim's container prints on to its client, which misses nothing and sees one exit",
  programs,
  () =>
    withOwnShim(async (bench) => {
      await using events = listen(bench);
      // Bursts that fill a pipe, until somebody says that it is enough.
      const script =
        'i=0; until [ -e /enough ]; do n=0; while [ $n -lt 200 ]; do echo "line $i"; i=$((i+1)); n=$((n+1)); ' +
        'done; sleep 0.02; done; echo "last $i"; echo oops >&2; exit 42';
      await using client = new Running([
        ...["ctr", "--address", bench.daemon.address, "-n", bench.namespace, "run", "--rm", ...runtime, image, "one"],
        ...["sh", "-c", script],
      ]);
      await client.says("line 1000\n");
      await left(bench, "one");
      const first = await killShim(bench);
      const seen = count(client.stdout, "\n");
      await until("the successor moves bytes", () => count(client.stdout, "\n") > seen + 3000);
      const second = await killShim(bench);
      assert.notEqual(second, first);
      const again = count(client.stdout, "\n");
      await until("the second successor moves bytes", () => count(client.stdout, "\n") > again + 3000);
      await listed(bench, /^one .*RUNNING$/m);
      await bench.ask("tasks", "exec", "--exec-id", "x", "one", "touch", "/enough");
      const { code, stdout, stderr } = await client.finished;
      assert.deepEqual([code, stderr], [42, "oops\n"]);
      const lines = stdout.split("\n");
      assert.equal(lines.pop(), "");
      assert.equal(lines.pop(), `last ${lines.length}`);
      const wrong = lines.findIndex((line, index) => line !== `line ${index}`);
      assert.equal(wrong, -1, `line ${wrong} is ${lines[wrong]}`);
      await events.says(`/tasks/delete {"container_id":"one"`);
      assert.equal(count(events.stdout, `/tasks/exit {"container_id":"one","id":"one"`), 1);
      await nothingLeft(bench);
    }),
);

systemTest(
  "a killed shim's container reads on from its client, and sees the end of its input",
  programs,
  () =>
    withOwnShim(async (bench) => {
      await using client = new Running(
        [
          "ctr",
          "--address",
          bench.daemon.address,
          "-n",
          bench.namespace,
          "run",
          "--rm",
          ...runtime,
          image,
          "one",
          "cat",
        ],
        { keepInput: true },
      );
      const input = client.child.stdin.getWriter();
      const type = (text: string) => input.write(new TextEncoder().encode(text));
      await type("before\n");
      await client.says("before\n");
      await left(bench, "one");
      const isInput = (link: string) => link.endsWith("/one-stdin");
      await until("the daemon holds the client's input", () => openFilesOf(bench.daemon.pid).some(isInput));
      await killShim(bench);
      await type("after\n");
      await client.says("before\nafter\n");
      await input.close();
      const { code, stdout } = await client.finished;
      assert.deepEqual([code, stdout], [0, "before\nafter\n"]);
      await nothingLeft(bench);
    }),
);

systemTest(
  "execs and terminals of a killed shim run on",
  programs.concat("script"),
  () =>
    withOwnShim(async (bench) => {
      await using events = listen(bench);
      await run(bench, "one", ...endsWith(3));
      const ctr = `ctr --address ${bench.daemon.address} -n ${bench.namespace}`;
      await using exec = bench.start(
        ...[
          "tasks",
          "exec",
          "--exec-id",
          "x",
          "one",
          "sh",
          "-c",
          "until [ -e /go ]; do sleep 0.05; done; echo gone; exit 7",
        ],
      );
      const shell = "stty size; until [ -e /go ]; do sleep 0.05; done; tty; exit 9";
      await using terminal = new Running([
        ...["script", "-qec", `${ctr} run --rm -t ${runtime.join(" ")} ${image} two sh -c '${shell}'`, "/dev/null"],
      ]);
      await terminal.says("\n");
      await left(bench, "one", "x");
      await left(bench, "two");
      await killShim(bench);
      for (const id of ["one", "two"]) await bench.ask("tasks", "exec", "--exec-id", "go", id, "touch", "/go");
      const ended = await exec.finished;
      assert.deepEqual([ended.code, ended.stdout], [7, "gone\n"]);
      const shown = await terminal.finished;
      assert.equal(shown.code, 9, shown.stdout);
      assert.match(shown.stdout, /\/dev\/(pts\/0|console)/);
      await events.says(`"container_id":"one","id":"x"`);
      assert.equal(count(events.stdout, `/tasks/exit {"container_id":"one","id":"x"`), 1);
      await endAndRemove(bench, "one", 3);
      await nothingLeft(bench);
    }),
);

systemTest("20 containers of a killed shim are all taken over by one", programs, () =>
  withOwnShim(async (bench) => {
    await using events = listen(bench);
    const ids = Array.from({ length: 20 }, (_, index) => `c${index}`);
    await Promise.all(ids.map((id, index) => run(bench, id, ...endsWith(index + 1))));
    for (const id of ids) await left(bench, id);
    await bench.ask("tasks", "pause", "c0");
    const before = await bench.ask("tasks", "ls");
    await killShim(bench);
    const sorted = (text: string) => text.split("\n").sort();
    // One that has no shim yet is listed as unknown after 2 s.
    const isAsBefore = async () => String(sorted(await bench.ask("tasks", "ls"))) === String(sorted(before));
    await until("all tasks are as before", isAsBefore);
    assert.equal(shimsOf(bench).length, 1);
    await bench.ask("tasks", "resume", "c0");
    assert.equal((await bench.ctr("tasks", "metrics", "c1")).code, 0);
    await Promise.all(ids.map((id) => bench.ask("tasks", "kill", id)));
    await until("all exits are told", () => count(events.stdout, "/tasks/exit ") >= ids.length);
    for (const [index, id] of ids.entries()) {
      const exit = `/tasks/exit {"container_id":"${id}","id":"${id}","pid":\\d+,"exit_status":${index + 1},`;
      assert.equal(count(events.stdout, exit), 1, `${exit} in ${events.stdout}`);
    }
    await bench.ctr("tasks", "rm", ...ids);
    await listed(bench, /^TASK.*\n$/);
    await bench.ask("containers", "rm", ...ids);
    // FIFOs that the daemon holds for them.
    const held = () => openFilesOf(bench.daemon.pid).filter((path) => /\/c\d+-std(in|out|err)/.test(path)).length;
    await until("the daemon holds nothing of them any more", () => held() === 0);
    await nothingLeft(bench);
  }));

systemTest(
  "the successor of a shim tells when a container has no memory left",
  programs,
  () =>
    withOwnShim(async (bench) => {
      await using events = listen(bench);
      const script = "until [ -e /go ]; do sleep 0.05; done; tail /dev/zero";
      const limit = ["--memory-limit", String(32 << 20)];
      await bench.ask("run", "-d", ...limit, ...runtime, image, "one", "sh", "-c", script);
      await left(bench, "one");
      await killShim(bench);
      await bench.ask("tasks", "exec", "--exec-id", "x", "one", "touch", "/go");
      await events.says(`/tasks/oom {"container_id":"one"`);
      await listed(bench, /^one .*STOPPED/m);
      await bench.ctr("tasks", "rm", "one");
      await bench.ask("containers", "rm", "one");
      await nothingLeft(bench);
    }),
);

systemTest("how a process ended while it had no shim is told, once", programs, () =>
  withOwnShim(async (bench) => {
    await using events = listen(bench);
    await run(bench, "one", ...endsWith(42));
    await run(bench, "two", "sleep", "1000");
    for (const id of ["one", "two"]) await left(bench, id);
    const pids = [await pidOf(bench, "one"), await pidOf(bench, "two")] as const;
    // The daemon stands still meanwhile, so that nobody takes them over.
    Deno.kill(bench.daemon.pid, "SIGSTOP");
    await killShim(bench);
    Deno.kill(pids[0], "SIGTERM");
    Deno.kill(pids[1], "SIGKILL");
    const isGone = (pid: number) => {
      try {
        return Deno.readTextFileSync(`/proc/${pid}/cmdline`) === "";
      } catch {
        return true;
      }
    };
    await until("both have ended", () => pids.every(isGone));
    Deno.kill(bench.daemon.pid, "SIGCONT");
    for (const [id, code] of [["one", 42], ["two", 137]] as const) {
      await listed(bench, new RegExp(`^${id} .*STOPPED`, "m"));
      const { stderr } = await bench.ctr("tasks", "rm", id);
      assert.match(stderr, new RegExp(`task ${id} exit with non-zero exit code ${code}`));
      await events.says(`/tasks/delete {"container_id":"${id}"`);
      assert.equal(count(events.stdout, `/tasks/exit {"container_id":"${id}"`), 1);
      await bench.ask("containers", "rm", id);
    }
    await nothingLeft(bench);
  }));

systemTest(
  "a restarted daemon lets containers whose shim was killed with it be taken over",
  programs,
  () =>
    withOwnShim(async (bench) => {
      await run(bench, "one", "sh", "-c", "trap 'echo bye; exit 42' TERM; while :; do sleep 0.05; done");
      await run(bench, "two", "sleep", "1000");
      for (const id of ["one", "two"]) await left(bench, id);
      const ending = await pidOf(bench, "two");
      await bench.daemon.stop("SIGKILL");
      await killShim(bench);
      Deno.kill(ending, "SIGKILL");
      // Whoever reaps orphans takes its exit along.
      await until("it is reaped", () => {
        try {
          return !Deno.statSync(`/proc/${ending}`).isDirectory;
        } catch {
          return true;
        }
      });
      bench.daemon = await bench.daemon.restart();
      await using events = listen(bench);
      await listed(bench, /^one .*RUNNING$/m);
      // The next daemon is left everything as well.
      await killShim(bench);
      await listed(bench, /^one .*RUNNING$/m);
      // What it prints reaches a client that comes now: its pipe was opened anew.
      await using client = bench.start("tasks", "attach", "one");
      await until("the client reads", () => isRead(bench, "one"));
      await bench.ask("tasks", "kill", "one");
      const { code, stdout } = await client.finished;
      assert.deepEqual([code, stdout], [42, "bye\n"]);
      await listed(bench, /^two .*STOPPED$/m);
      const { stderr } = await bench.ctr("tasks", "rm", "two");
      assert.match(stderr, /task two exit with non-zero exit code 255/);
      await events.says(`/tasks/delete {"container_id":"two"`);
      await bench.ask("containers", "rm", "one", "two");
      await nothingLeft(bench);
    }),
);

/** Whether a ctr has the FIFO of the task's output open. */
function isRead(bench: TaskBench, id: string): boolean {
  const { stdio } = JSON.parse(Deno.readTextFileSync(`${bundleOf(bench, id)}/task.json`));
  return [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).some(({ name }) => {
    try {
      if (Deno.readTextFileSync(`/proc/${name}/comm`) !== "ctr\n") return false;
      return [...Deno.readDirSync(`/proc/${name}/fd`)]
        .some((entry) => Deno.readLinkSync(`/proc/${name}/fd/${entry.name}`) === stdio.stdout);
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
}

systemTest(
  "a container that was created and not started is taken over, and starts",
  programs,
  () =>
    withOwnShim(async (bench) => {
      await bench.ask("containers", "create", ...runtime, image, "one", "false");
      using channel = channelOf(bench);
      const tasks = channel.client(TasksDefinition);
      const { mounts } = await channel.client(SnapshotsDefinition).mounts({ snapshotter: "overlayfs", key: "one" });
      const { pid } = await tasks.create(CreateTaskRequest.fromPartial({ containerId: "one", rootfs: mounts }));
      await left(bench, "one");
      const waiting = tasks.wait({ containerId: "one", execId: "" });
      await killShim(bench);
      await listed(bench, new RegExp(`^one +${pid} +CREATED$`, "m"));
      await tasks.start({ containerId: "one", execId: "" });
      assert.equal((await waiting).exitStatus, 1);
      assert.equal((await tasks.delete({ containerId: "one" })).exitStatus, 1);
      await bench.ask("containers", "rm", "one");
      await nothingLeft(bench);
    }),
);

systemTest(
  "a shim that is told to end hands its containers over, and who waits goes on waiting",
  programs,
  () =>
    withOwnShim(async (bench) => {
      await run(bench, "one", ...endsWith(42));
      await left(bench, "one");
      using channel = channelOf(bench);
      const waiting = channel.client(TasksDefinition).wait({ containerId: "one", execId: "" });
      const [first] = shimsOf(bench);
      Deno.kill(first!, "SIGTERM");
      await until("another shim has come", () => shimsOf(bench).some((pid) => pid !== first));
      await endAndRemove(bench, "one", 42);
      assert.equal((await waiting).exitStatus, 42);
      await nothingLeft(bench);
    }),
);

systemTest(
  "containers of another runtime (BinaryName) are taken over as well",
  programs.concat("runc"),
  () =>
    withOwnShim(async (bench) => {
      await bench.ask("containers", "create", ...runtime, image, "one", "sleep", "1000");
      using channel = channelOf(bench);
      const tasks = channel.client(TasksDefinition);
      const { mounts } = await channel.client(SnapshotsDefinition).mounts({ snapshotter: "overlayfs", key: "one" });
      const value = Options.encode(Options.fromPartial({ binaryName: "runc" })).finish();
      const options = { typeUrl: "containerd.runc.v1.Options", value };
      const { pid } = await tasks.create(
        CreateTaskRequest.fromPartial({ containerId: "one", rootfs: mounts, options }),
      );
      await tasks.start({ containerId: "one", execId: "" });
      await left(bench, "one");
      await bench.ask("tasks", "pause", "one");
      await killShim(bench);
      await listed(bench, new RegExp(`^one +${pid} +PAUSED$`, "m"));
      await bench.ask("tasks", "resume", "one");
      assert.equal(await bench.ask("tasks", "exec", "--exec-id", "x", "one", "echo", "in"), "in\n");
      await bench.ask("tasks", "kill", "-s", "9", "one");
      assert.equal((await tasks.wait({ containerId: "one", execId: "" })).exitStatus, 137);
      assert.equal((await tasks.delete({ containerId: "one" })).exitStatus, 137);
      await bench.ask("containers", "rm", "one");
      await nothingLeft(bench);
    }),
);
