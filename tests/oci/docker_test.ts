/**
 * Debian's dockerd with barge as a further runtime.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Running } from "../command.ts";
import { unmountDockersData } from "../tasks/docker_fixture.ts";
import { archiveOf, type Caller, callerTest, Served } from "./caller.ts";

async function withDocker(caller: Caller, body: (docker: Served, run: string[]) => Promise<void>): Promise<void> {
  const { scratch, runtime } = caller;
  const host = `unix://${scratch.path}/docker.sock`;
  {
    await using docker = new Served([
      ...["dockerd", "--data-root", `${scratch.path}/data`, "--exec-root", `${scratch.path}/exec`],
      ...["--pidfile", `${scratch.path}/pid`, "--host", host, "--bridge=none", "--iptables=false", "--ip6tables=false"],
      ...["--storage-driver=vfs", "--shutdown-timeout=5", "--add-runtime", `tested=${runtime}`],
    ], ["docker", "--host", host]);
    await docker.answers("version");
    await docker.ask("import", await archiveOf(caller), "busy");
    await body(docker, ["run", "--runtime", "tested", "--network", "none"]);
  }
  await unmountDockersData(`${scratch.path}/data`);
}

const programs = ["dockerd", "docker"];

callerTest(
  "dockerd runs containers: output, exit codes, errors, terminal, hooks",
  programs,
  (caller) =>
    withDocker(caller, async (docker, run) => {
      assert.equal(await docker.ask(...run, "--rm", "busy", "echo", "hello"), "hello\n");
      assert.equal((await docker.run(...run, "--rm", "busy", "sh", "-c", "exit 9")).code, 9);
      assert.equal(await docker.askWith({ stdin: "data" }, ...run, "--rm", "-i", "busy", "cat"), "data");
      const missing = await docker.run(...run, "--rm", "busy", "nosuch");
      assert.equal(missing.code, 127);
      assert.match(missing.stderr, /exec: "nosuch": executable file not found in \$PATH/);
      assert.equal((await docker.run(...run, "--rm", "busy", "/etc")).code, 126);
      // Docker's clients before 25 know no other words for it.
      assert.match((await docker.run(...run, "--rm", "busy", "/etc")).stderr, /permission denied/);
      assert.equal(await docker.ask(...run, "--rm", "-t", "busy", "sh", "-c", "test -t 0 && echo tty"), "tty\r\n");
      const limits = ["--memory", "64m", "--pids-limit", "50", "--cpus", "0.5", "--read-only", "--tmpfs", "/scratch"];
      assert.equal(
        await docker.ask(...run, "--rm", ...limits, "busy", "sh", "-c", "touch /scratch/x && echo ok"),
        "ok\n",
      );
      const init = await docker.ask(...run, "--rm", "--user", "1000:50", "--cap-drop", "ALL", "busy", "id", "-u");
      assert.equal(init, "1000\n");
    }),
);

callerTest("dockerd leads a container's whole life", programs, (caller) =>
  withDocker(caller, async (docker, run) => {
    const script = "trap 'echo bye; exit 4' TERM; while :; do echo tick; sleep 0.1; done";
    await docker.ask(...run, "-d", "--name", "life", "busy", "sh", "-c", script);
    await using follower = new Running([...docker.client, "logs", "--follow", "life"]);
    await follower.says("tick\ntick");
    assert.equal(await docker.ask("exec", "life", "echo", "in"), "in\n");
    assert.equal((await docker.run("exec", "life", "sh", "-c", "exit 5")).code, 5);
    assert.equal((await docker.run("exec", "life", "/nosuch")).code, 126);
    assert.match(await docker.ask("exec", "-t", "life", "sh", "-c", "test -t 1 && echo tty"), /tty/);
    assert.match(await docker.ask("top", "life"), /tick/);
    assert.match(await docker.ask("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "life"), /^life [1-9]/);
    await docker.ask("pause", "life");
    assert.match(await docker.ask("ps", "--format", "{{.Status}}"), /Paused/);
    await docker.ask("unpause", "life");
    await docker.ask("update", "--memory", "64m", "--memory-swap", "64m", "--cpu-shares", "512", "life");
    const limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
    assert.equal((await docker.run("exec", "life", "sh", "-c", limit)).stdout, `${64 << 20}\n`);
    await docker.ask("stop", "--time", "5", "life");
    assert.equal((await follower.finished).code, 0);
    assert.match(follower.stdout, /bye\n$/);
    const state = ["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "life"];
    assert.equal((await docker.ask(...state)).trim(), "exited 4");
    await docker.ask("start", "life");
    assert.equal((await docker.ask(...state)).trim(), "running 0");
    await docker.ask("restart", "--time", "5", "life");
    assert.equal((await docker.ask(...state)).trim(), "running 0");
    await docker.ask("kill", "--signal", "TERM", "life");
    assert.equal((await docker.ask("wait", "life")).trim(), "4");
    assert.match(await docker.ask("logs", "--tail", "1", "life"), /^bye\n$/);
    await docker.ask("rm", "--force", "life");
  }));

callerTest(
  "dockerd asks a container whether it is healthy",
  programs,
  (caller) =>
    withDocker(caller, async (docker, run) => {
      const health = ["--health-cmd", "test -e /tmp/well", "--health-interval", "200ms", "--health-retries", "100"];
      await docker.ask(...run, "-d", "--name", "checked", ...health, "busy", "sleep", "1000");
      await docker.ask("exec", "checked", "touch", "/tmp/well");
      await docker.until("healthy\n", "inspect", "--format", "{{.State.Health.Status}}", "checked");
      await docker.ask("rm", "--force", "checked");
    }),
);
