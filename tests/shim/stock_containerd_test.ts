/**
 * Stock containerd and stock ctr with barge's shim.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execute } from "../command.ts";
import { image } from "../tasks/task_fixture.ts";
import { bundleFile, exists, gone, runtime, shimTest, socketOf } from "./shim_fixture.ts";

const run = ["run", "--runtime", runtime];

shimTest(
  "the shim runs containers to their end: output, input, exit code, what cannot be executed",
  [],
  {},
  async (bench) => {
    const script = 'echo out; echo err >&2; read line; echo "got $line"; exit 3';
    const { code, stdout, stderr } = await bench.ctrWith(
      { stdin: "a line\n" },
      ...[...run, "--rm", image, bench.scratch.id("a"), "sh", "-c", script],
    );
    assert.deepEqual([code, stdout, stderr.trim()], [3, "out\ngot a line\n", "err"]);

    const missing = await bench.ctr(...run, "--rm", image, bench.scratch.id("b"), "/nope");
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /OCI runtime create failed: .*exec: "\/nope": stat \/nope: no such file or directory/);

    const killed = await bench.ctr(
      ...run,
      "--rm",
      image,
      bench.scratch.id("c"),
      "sh",
      "-c",
      "sh -c 'kill -9 $$'; exit $?",
    );
    assert.equal(killed.code, 137);
  },
);

shimTest(
  "the shim gives all that was printed before the end, with and without a terminal",
  ["script"],
  {},
  async (bench) => {
    const words = [...run, "--rm", image, bench.scratch.id("a")];
    const { stdout } = await bench.ctr(...words, "dd", "if=/dev/zero", "bs=1M", "count=8");
    assert.equal(stdout.length, 8 << 20);

    const line = ["ctr", "--address", bench.daemon.address, "-n", bench.namespace, ...run, "-t", "--rm", image];
    const command = `${[...line, bench.scratch.id("b")].join(" ")} sh -c 'tty; stty -a | head -1; exit 7'`;
    const terminal = await execute(["script", "-qec", command, "/dev/null"]);
    assert.match(terminal.stdout, /\/dev\/pts\/0/);
    assert.equal(terminal.code, 7);
  },
);

shimTest(
  "the shim does what is asked of a task: list, exec, pause, update, measure, signal, delete",
  [],
  {},
  async (bench) => {
    const id = bench.scratch.id("a");
    await bench.ask(...run, "-d", image, id, "sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.1; done");
    const socket = socketOf(bench, id);
    assert.match(await bench.ask("task", "ls"), new RegExp(`${id}\\s+\\d+\\s+RUNNING`));

    const exec = await bench.ctrWith(
      { stdin: "typed" },
      "task",
      "exec",
      "--exec-id",
      "e1",
      id,
      "sh",
      "-c",
      "cat; exit 5",
    );
    assert.deepEqual([exec.code, exec.stdout], [5, "typed"]);
    assert.match(
      (await bench.ctr("task", "exec", "--exec-id", "e2", id, "/nope")).stderr,
      /OCI runtime exec failed: exec fa/,
    );
    assert.match(await bench.ask("task", "ps", id), /^PID\s+INFO\n\d+/);

    await bench.ask("task", "pause", id);
    assert.match(await bench.ask("task", "ls"), /PAUSED/);
    assert.match(
      (await bench.ctr("task", "exec", "--exec-id", "e3", id, "true")).stderr,
      /cannot exec in a paused state/,
    );
    assert.match((await bench.ctr("task", "pause", id)).stderr, /cannot pause a paused container/);
    await bench.ask("task", "resume", id);
    assert.match((await bench.ctr("task", "resume", id)).stderr, /cannot resume a running process/);

    assert.match(await bench.ask("task", "metrics", id), /pids\.current\s+\d/);
    assert.match((await bench.ctr("task", "rm", id)).stderr, /must be stopped before deletion/);
    await bench.ask("task", "kill", id);
    await bench.until(/STOPPED/, "task", "ls");
    assert.match((await bench.ctr("task", "kill", id)).stderr, /process already finished: not found/);
    assert.match((await bench.ctr("task", "rm", id)).stderr, /exit with non-zero exit code 9/);
    await bench.ask("container", "rm", id);
    await gone(socket);
  },
);

shimTest("the shim tells of everything once and in order, a lack of memory included", [], {}, async (bench) => {
  using stack = new DisposableStack();
  const events = bench.start("events");
  stack.defer(() => events.kill("SIGTERM"));
  await new Promise((resolve) => setTimeout(resolve, 300));
  const id = bench.scratch.id("a");
  await bench.ask(...run, "-d", image, id, "sleep", "100");
  await bench.ask("task", "exec", "--exec-id", "e1", id, "true");
  await bench.ask("task", "pause", id);
  await bench.ask("task", "resume", id);
  await bench.ask("task", "kill", "-s", "KILL", id);
  await bench.until(/STOPPED/, "task", "ls");
  await bench.ctr("task", "rm", id);
  await bench.ask("container", "rm", id);
  const hungry = bench.scratch.id("b");
  await bench.ctr(...run, "--rm", "--memory-limit", "20000000", image, hungry, "tail", "/dev/zero");
  await events.says(`/containers/delete {"id":"${hungry}"}`);
  const topics = (name: string): string[] =>
    events.stdout.split("\n").filter((line) => line.includes(`"container_id":"${name}"`))
      .map((line) => /\/tasks\/(\S+)/.exec(line)?.[1] ?? "");
  assert.deepEqual(topics(id), [
    ...["create", "start", "exec-added", "exec-started", "exit", "paused", "resumed", "exit", "delete"],
  ]);
  assert.deepEqual(topics(hungry).filter((topic) => topic !== "oom"), ["create", "start", "exit", "delete"]);
  assert(topics(hungry).includes("oom"));
});

shimTest("a shim that was killed leaves a container that containerd can clean up", [], {}, async (bench) => {
  const id = bench.scratch.id("a");
  await bench.ask(...run, "-d", image, id, "sh", "-c", "sleep 1000 & sleep 1001");
  const socket = socketOf(bench, id);
  Deno.kill(Number(bundleFile(bench, id, "shim.pid")), "SIGKILL");
  await bench.until(/^TASK\s+PID\s+STATUS\s*$/, "task", "ls");
  await bench.ask("container", "rm", id);
  await gone(socket);
});

shimTest("a restarted containerd finds the shim and its task again", [], {}, async (bench) => {
  const id = bench.scratch.id("a");
  await bench.ask(...run, "-d", image, id, "sleep", "1000");
  bench.daemon = await bench.daemon.restart("SIGKILL");
  await bench.until(new RegExp(`${id}\\s+\\d+\\s+RUNNING`), "task", "ls");
  await bench.ask("task", "exec", "--exec-id", "e", id, "true");
  await bench.ask("task", "kill", "-s", "KILL", id);
  await bench.until(/STOPPED/, "task", "ls");
  await bench.ctr("task", "rm", id);
  await bench.ask("container", "rm", id);
});

shimTest(
  "as containerd-shim-runc-v2 the shim drives the runtime that the options name",
  ["runc", "script"],
  {},
  async (bench) => {
    const id = bench.scratch.id("a");
    await bench.ask("run", "-d", "--runc-binary", "runc", image, id, "sleep", "1000");
    assert.equal(bundleFile(bench, id, "runtime"), "runc");
    const states = await execute(["runc", "--root", `/run/containerd/runc/${bench.namespace}`, "list", "-q"]);
    assert.equal(states.stdout.trim(), id);
    const exec = await bench.ctr("task", "exec", "--exec-id", "e", id, "sh", "-c", "echo inside; exit 6");
    assert.deepEqual([exec.code, exec.stdout], [6, "inside\n"]);
    const line = `ctr --address ${bench.daemon.address} -n ${bench.namespace} task exec -t --exec-id t ${id} tty`;
    assert.match((await execute(["script", "-qec", line, "/dev/null"])).stdout, /\/dev\/pts\/0/);
    assert.match(await bench.ask("task", "ps", id), /^PID\s+INFO\n\d+/);
    await bench.ask("task", "pause", id);
    await bench.ask("task", "resume", id);
    await bench.ask("task", "kill", "-s", "KILL", id);
    await bench.until(/STOPPED/, "task", "ls");
    await bench.ctr("task", "rm", id);
    await bench.ask("container", "rm", id);
    const missing = await bench.ctr("run", "--rm", "--runc-binary", "runc", image, bench.scratch.id("b"), "/nope");
    assert.match(missing.stderr, /OCI runtime create failed: .*no such file or directory/);
  },
);

shimTest("containers of a namespace share a shim where the daemon wants it, which then waits for further ones", [], {
  BARGE_SHIM_GROUP: "namespace",
}, async (bench) => {
  const ids = [bench.scratch.id("a"), bench.scratch.id("b")];
  await Promise.all(ids.map((id) => bench.ask(...run, "-d", image, id, "sleep", "1000")));
  const socket = socketOf(bench, ids[0]!);
  assert.equal(socket, socketOf(bench, ids[1]!));
  const shim = Number(bundleFile(bench, ids[0]!, "shim.pid"));
  for (const id of ids) {
    await bench.ask("task", "kill", "-s", "KILL", id);
    await bench.until(new RegExp(`${id}\\s+\\d+\\s+STOPPED`), "task", "ls");
    await bench.ctr("task", "rm", id);
    await bench.ask("container", "rm", id);
  }
  assert.equal((await bench.ctr(...run, "--rm", image, bench.scratch.id("c"), "sh", "-c", "exit 4")).code, 4);
  assert(exists(`/proc/${shim}`) && exists(socket), "the shim has not waited");
  Deno.kill(shim, "SIGTERM");
  await gone(socket);
});

shimTest("containers of one pod share a shim, which stays as long as one of them", [], {}, async (bench) => {
  const [first, second] = [bench.scratch.id("a"), bench.scratch.id("b")];
  for (const id of [first, second]) {
    const annotation = `io.kubernetes.cri.sandbox-id=${first}`;
    await bench.ask(...run, "-d", "--annotation", annotation, image, id, "sh", "-c", `echo ${id}; sleep 1000`);
  }
  assert.equal(socketOf(bench, first), socketOf(bench, second));
  const shim = Number(bundleFile(bench, first, "shim.pid"));
  for (const id of [first, second]) {
    assert(exists(`/proc/${shim}`));
    await bench.ask("task", "kill", "-s", "KILL", id);
    await bench.until(new RegExp(`${id}\\s+\\d+\\s+STOPPED`), "task", "ls");
    await bench.ctr("task", "rm", id);
    await bench.ask("container", "rm", id);
  }
});
