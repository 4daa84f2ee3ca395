/**
 * How a container's first process begins and ends.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execute } from "../command.ts";
import { type Bundle, runtimeTest } from "../bundle.ts";
import type { Scratch } from "../scratch.ts";

/** Creates the container and sends it the signal; its output goes to a file. */
async function createAndKill(bundle: Bundle, scratch: Scratch, signal: string): Promise<string> {
  const id = scratch.id(signal.toLowerCase());
  await bundle.edit((spec) => spec.linux.cgroupsPath = `/${id}`);
  await bundle.runtime.detached(`${scratch.path}/out`, ["create", "--bundle", bundle.path, id]);
  await bundle.runtime.succeed(["kill", id, signal]);
  return id;
}

runtimeTest("a container that was only created ends of TERM, INT and HUP", async (bundle, runtime, scratch) => {
  await bundle.command("sleep", "100");
  for (const signal of ["TERM", "INT", "HUP"]) {
    const id = await createAndKill(bundle, scratch, signal);
    await runtime.reaches(id, "stopped");
    await runtime.succeed(["delete", id]);
  }
});

runtimeTest("a container that was only created lives on after USR1", async (bundle, runtime, scratch) => {
  await bundle.command("sh", "-c", "grep -e ^SigCgt -e ^SigBlk /proc/self/status");
  const id = await createAndKill(bundle, scratch, "USR1");
  assert.equal((await runtime.state(id))?.status, "created");
  await runtime.succeed(["start", id]);
  await runtime.reaches(id, "stopped");
  // What was done to hear of signals while waiting is not the command's.
  assert.equal((await Deno.readTextFile(`${scratch.path}/out`)).match(/0{16}/g)?.length, 2);
  await runtime.succeed(["delete", id]);
});

/** Starts a container in the host's pid namespace, whose init ends and leaves two processes; gives their number. */
async function leaveBehind(bundle: Bundle, scratch: Scratch): Promise<{ id: string; left: () => Promise<number> }> {
  const { runtime } = bundle;
  const id = scratch.id("left");
  await bundle.command("sh", "-c", "sleep 100 & sleep 101 & exit 0");
  await bundle.edit((spec) => {
    spec.linux.cgroupsPath = `/${id}`;
    spec.linux.namespaces = spec.linux.namespaces!.filter(({ type }) => type !== "pid");
  });
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  await runtime.reaches(id, "stopped");
  const left = async () => (JSON.parse(await runtime.succeed(["ps", "--format", "json", id])) ?? []).length;
  assert.equal(await left(), 2);
  return { id, left };
}

/** Waits until none of them is left. */
async function untilNone(left: () => Promise<number>): Promise<void> {
  for (let waitedMs = 0; await left() > 0; waitedMs += 50) {
    assert(waitedMs < 10_000, "processes are left");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

runtimeTest("kill --all reaches all that are left, by any signal", async (bundle, runtime, scratch) => {
  const { id, left } = await leaveBehind(bundle, scratch);
  const one = await runtime.execute(["kill", id, "TERM"]);
  assert.equal(one.code, 1);
  assert.match(one.stderr, /container not running/);
  assert.equal(await left(), 2);
  await runtime.succeed(["kill", "--all", id, "TERM"]);
  await untilNone(left);
  // Callers clean up so, whatever there is.
  await runtime.succeed(["kill", "--all", id, "KILL"]);
  await runtime.succeed(["delete", id]);
});

// As runc since 1.2; 1.1 wants --all for that.
runtimeTest("kill KILL ends what init has left behind", async (bundle, runtime, scratch) => {
  const { id, left } = await leaveBehind(bundle, scratch);
  await runtime.succeed(["kill", id, "KILL"]);
  await untilNone(left);
  const late = await runtime.execute(["kill", id, "KILL"]);
  assert.equal(late.code, 1);
  assert.match(late.stderr, /container not running/);
  await runtime.succeed(["delete", id]);
}, { only: "barge" });

runtimeTest("of equal variables the last one counts, and an empty HOME is none", async (bundle) => {
  const homes: [env: string[], home: string][] = [
    [["HOME=/a", "HOME=/b"], "/b"],
    [["HOME=/a", "HOME="], "/root"],
    [["HOME=", "HOME=/a"], "/a"],
    [["HOME="], "/root"],
    [[], "/root"],
  ];
  for (const [env, home] of homes) {
    await bundle.edit((spec) => spec.process.env = ["PATH=/nowhere", ...env, "PATH=/bin"]);
    const { code, stdout } = await bundle.run("env | grep ^HOME=");
    assert.deepEqual([code, stdout], [0, `HOME=${home}\n`], env.join(" "));
  }
});

runtimeTest("an exec's empty HOME after another is none", async (bundle, runtime, scratch) => {
  const id = scratch.id("c");
  await bundle.command("sleep", "100");
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  const stdout = await runtime.succeed(["exec", "--env", "HOME=/a", "--env", "HOME=", id, "sh", "-c", "echo $HOME"]);
  assert.equal(stdout, "/root\n");
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest("a command whose name is empty is not found", async (bundle, runtime, scratch) => {
  await bundle.command("", "x");
  const { code, stderr } = await runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
  assert.equal(code, 1);
  assert.match(stderr, /exec: \\"\\": executable file not found in \$PATH/);
});

// As runc since 1.3: here, 1.1.5 leaves the container where its caller is bound to.
runtimeTest("the caller's CPUs are not the container's", async (bundle, runtime, scratch) => {
  const all = Deno.readTextFileSync("/sys/devices/system/cpu/online").trim();
  if (all === "0") return;
  const id = scratch.id("c");
  await bundle.command("sh", "-c", "grep Cpus_allowed_list /proc/self/status; sleep 100");
  const bound = (...args: string[]) => ["taskset", "-c", "0", ...runtime.command(...args)];
  const script = 'out=$1; shift; exec "$@" </dev/null >"$out" 2>&1';
  const out = `${scratch.path}/out`;
  await execute(["sh", "-c", script, "sh", out, ...bound("run", "--detach", "--bundle", bundle.path, id)]);
  const inExec = await execute(bound("exec", id, "grep", "Cpus_allowed_list", "/proc/self/status"));
  assert.equal(inExec.stdout, `Cpus_allowed_list:\t${all}\n`);
  assert.equal(await Deno.readTextFile(out), `Cpus_allowed_list:\t${all}\n`);
  await runtime.succeed(["delete", "--force", id]);
}, { only: "barge", programs: ["taskset"] });

// runc does the same, but wants a terminal of its own.
runtimeTest("a terminal in the foreground leaves line ends in files alone", async (bundle, runtime, scratch) => {
  await bundle.edit((spec) => spec.process.terminal = true);
  const { stdout } = await bundle.run("echo a; echo b");
  assert.equal(stdout, "a\nb\n");
  await bundle.edit((spec) => spec.process.terminal = false);
  const id = scratch.id("d");
  await bundle.command("sleep", "100");
  await bundle.edit((spec) => spec.linux.cgroupsPath = `/${id}`);
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  assert.equal(await runtime.succeed(["exec", "--tty", id, "sh", "-c", "echo a; echo b"]), "a\nb\n");
  await runtime.succeed(["delete", "--force", id]);
}, { only: "barge" });
