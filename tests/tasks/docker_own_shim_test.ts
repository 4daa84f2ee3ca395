/**
 * Debian's dockerd on barge's socket, with containers in barge's own shim, in the place of containerd's: it always names
 * runc, which barge is by the name of containerd's shim.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execute, Running, systemTest } from "../command.ts";
import { type Docker, withDocker } from "./docker_fixture.ts";
import { startOwnShimBench } from "./own_shim_fixture.ts";

const programs = ["busybox", "tar", "ctr", "skopeo", "dockerd", "docker", "runc", "script"];
const run = ["run", "--network", "none"];
const state = (name: string) => ["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name];

systemTest("dockerd runs containers in barge's shim on barge's socket", programs, () =>
  withDocker(async (docker) => {
    assert.equal(await docker.ask(...run, "--rm", "busy:1", "echo", "hello"), "hello\n");
    assert.equal((await docker.run(...run, "--rm", "busy:1", "sh", "-c", "exit 9")).code, 9);
    assert.equal((await docker.runWith({ stdin: "x\n" }, ...run, "--rm", "-i", "busy:1", "cat")).stdout, "x\n");
    const missing = await docker.run(...run, "--rm", "busy:1", "nosuch");
    assert.equal(missing.code, 127, missing.stderr);
    assert.equal((await docker.run(...run, "--rm", "busy:1", "/etc")).code, 126);
    assert.equal(await docker.ask(...run, "--rm", "-t", "busy:1", "sh", "-c", "test -t 0 && echo tty"), "tty\r\n");
    const much = await docker.ask(...run, "--rm", "busy:1", "sh", "-c", "head -c 8000000 /dev/zero | tr '\\0' x");
    assert.equal(much.length, 8_000_000);
    await lead(docker);
    await typeAt(docker);
    await restart(docker);
  }, startOwnShimBench));

/** A container's whole life. */
async function lead(docker: Docker): Promise<void> {
  const script = "trap 'echo usr1' USR1; trap 'echo bye; exit 4' TERM; while :; do echo tick; sleep 0.1; done";
  await docker.ask(...run, "-d", "--name", "life", "busy:1", "sh", "-c", script);
  await using follower = new Running(["docker", "--host", docker.host, "logs", "--follow", "life"]);
  await follower.says("tick\ntick");
  assert.equal((await docker.runWith({ stdin: "x\n" }, "exec", "-i", "life", "cat")).stdout, "x\n");
  assert.equal((await docker.run("exec", "life", "sh", "-c", "exit 5")).code, 5);
  assert.match(await docker.ask("exec", "-t", "life", "sh", "-c", "test -t 1 && echo a terminal"), /a terminal/);
  assert.match(await docker.ask("top", "life"), /tick/);
  assert.match(await docker.ask("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "life"), /^life [1-9]/);
  await docker.ask("pause", "life");
  assert.match(await docker.ask("ps", "--format", "{{.Status}}"), /Paused/);
  await docker.ask("unpause", "life");
  await docker.ask("update", "--memory", "64m", "--memory-swap", "64m", "--cpu-shares", "512", "life");
  assert.match(await docker.ask("exec", "life", "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes"), /^67108864$/m);
  await docker.ask("kill", "--signal", "USR1", "life");
  await follower.says("usr1");
  await using attached = new Running(["docker", "--host", docker.host, "attach", "--sig-proxy=false", "life"]);
  await attached.says("tick");
  await docker.ask("stop", "--time", "20", "life");
  assert.equal((await follower.finished).code, 0);
  assert.match(follower.stdout, /bye\n$/);
  assert.equal((await attached.finished).code, 4);
  assert.equal((await docker.ask(...state("life"))).trim(), "exited 4");
  await docker.ask("start", "life");
  assert.equal((await docker.ask(...state("life"))).trim(), "running 0");
  await docker.ask("rm", "--force", "life");
}

/** A terminal that is attached to, with its size. */
async function typeAt(docker: Docker): Promise<void> {
  const words = ["docker", "--host", docker.host, ...run, "--rm", "-it", "busy:1", "sh", "-c"];
  const line = `stty rows 33 cols 99; ${words.join(" ")} 'sleep 1; stty size; read x; echo got $x; exit 6'`;
  const { code, stdout } = await execute(["script", "-qec", line, "/dev/null"], { stdin: "typed\n" });
  assert.match(stdout, /33 99[^]*got typed/);
  assert.equal(code, 6, stdout);
}

/** What dockerd starts again by itself, also when the shim is killed. */
async function restart(docker: Docker): Promise<void> {
  const count = (
    name: string,
  ) => ["inspect", "--format", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}", name];
  await docker.ask(...run, "-d", "--name", "fails", "--restart", "on-failure:2", "busy:1", "sh", "-c", "exit 3");
  await docker.until("2 exited 3", ...count("fails"));
  await docker.ask("rm", "fails");
}
