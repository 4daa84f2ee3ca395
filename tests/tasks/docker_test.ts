/**
 * Debian's dockerd on barge's socket in the place of its containerd: what people do with Docker.
 */
import assert from "node:assert/strict";
import { Running, systemTest } from "../command.ts";
import { patienceMs, withDocker } from "./docker_fixture.ts";
import { patientEnd } from "../patience.ts";

const programs = ["busybox", "tar", "containerd-shim-runc-v2", "runc", "ctr", "skopeo", "dockerd", "docker"];
const run = ["run", "--network", "none"];
const state = (name: string) => ["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name];

systemTest(
  "dockerd runs containers on barge's socket: exit codes, input, terminal, errors",
  programs,
  () =>
    withDocker(async (docker) => {
      assert.equal(await docker.ask(...run, "--rm", "busy:1", "echo", "hello"), "hello\n");
      assert.equal((await docker.run(...run, "--rm", "busy:1", "sh", "-c", "exit 9")).code, 9);
      const echoed = await docker.runWith({ stdin: "data\n" }, ...run, "--rm", "-i", "busy:1", "cat");
      assert.equal(echoed.stdout, "data\n");
      const missing = await docker.run(...run, "--rm", "busy:1", "nosuch");
      assert.equal(missing.code, 127);
      assert.match(missing.stderr, /exec: "nosuch": executable file not found in \$PATH/);
      assert.equal((await docker.run(...run, "--rm", "busy:1", "/etc")).code, 126);
      const terminal = await docker.ask(...run, "--rm", "-t", "busy:1", "sh", "-c", "test -t 0 && echo a terminal");
      assert.equal(terminal, "a terminal\r\n");
      const much = await docker.ask(...run, "--rm", "busy:1", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x");
      assert.equal(much.length, 3_000_000);
    }),
);

systemTest("dockerd leads a container's whole life on barge's socket", programs, () =>
  withDocker(async (docker) => {
    const script = "trap 'echo usr1' USR1; trap 'echo bye; exit 4' TERM; while :; do echo tick; sleep 0.1; done";
    await docker.ask(...run, "-d", "--name", "life", "busy:1", "sh", "-c", script);
    await using follower = new Running(["docker", "--host", docker.host, "logs", "--follow", "life"]);
    await follower.says("tick\ntick");
    assert.equal(await docker.ask("exec", "life", "echo", "in"), "in\n");
    assert.equal((await docker.runWith({ stdin: "x\n" }, "exec", "-i", "life", "cat")).stdout, "x\n");
    assert.equal((await docker.run("exec", "life", "sh", "-c", "exit 5")).code, 5);
    assert.match((await docker.run("exec", "life", "nosuch")).stdout, /executable file not found in \$PATH/);
    assert.match(await docker.ask("exec", "-t", "life", "sh", "-c", "test -t 1 && echo a terminal"), /a terminal/);
    assert.match(await docker.ask("top", "life"), /tick/);
    assert.match(await docker.ask("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "life"), /^life [1-9]/);
    await docker.ask("pause", "life");
    assert.match(await docker.ask("ps", "--format", "{{.Status}}"), /Paused/);
    await docker.ask("unpause", "life");
    await docker.ask("update", "--memory", "64m", "--memory-swap", "64m", "life");
    await docker.ask("kill", "--signal", "USR1", "life");
    await follower.says("usr1");
    await using attached = new Running(["docker", "--host", docker.host, "attach", "--sig-proxy=false", "life"]);
    await attached.says("tick");
    await docker.ask("stop", "--time", "5", "life");
    assert.equal((await follower.finished).code, 0);
    assert.match(follower.stdout, /bye\n$/);
    assert.equal((await attached.finished).code, 4);
    assert.equal((await docker.ask(...state("life"))).trim(), "exited 4");
    await docker.ask("start", "life");
    await docker.ask("restart", "--time", "1", "life");
    assert.equal((await docker.ask(...state("life"))).trim(), "running 0");
    await docker.ask("rm", "--force", "life");
    assert.equal((await docker.ask("ps", "-aq")).trim(), "");
  }));

systemTest(
  "dockerd's restart policies work on barge's socket, also where the shim is killed",
  programs,
  () =>
    withDocker(async (docker) => {
      await docker.ask(...run, "-d", "--name", "fails", "--restart", "on-failure:2", "busy:1", "sh", "-c", "exit 3");
      const count = ["inspect", "--format", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}", "fails"];
      await docker.until("2 exited 3", ...count);
      await docker.ask("rm", "fails");
      await docker.ask(...run, "-d", "--name", "stays", "--restart", "always", "busy:1", "sleep", "1000");
      const id = (await docker.ask("inspect", "--format", "{{.Id}}", "stays")).trim();
      Deno.kill(docker.bench.shimOf(id), "SIGKILL");
      await docker.until(
        "1 running 0",
        "inspect",
        "--format",
        "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}",
        "stays",
      );
      await docker.ask("rm", "--force", "stays");
    }),
);

systemTest(
  "dockerd keeps its containers while it or barge's daemon is restarted",
  programs,
  () =>
    withDocker(async (docker) => {
      await docker.ask(...run, "-d", "--name", "keeps", "busy:1", "sh", "-c", "while :; do echo tick; sleep 0.1; done");
      docker.bench.daemon = await docker.bench.daemon.restart("SIGKILL");
      await docker.until("running 0", ...state("keeps"));
      const asked = async () => (await docker.run("exec", "keeps", "echo", "again")).stdout;
      for (const end = patientEnd(patienceMs); await asked() !== "again\n";) {
        assert(performance.now() < end, "dockerd does not find the new daemon");
      }
      await docker.stop();
      await docker.start();
      assert.equal(await asked(), "again\n");
      await docker.ask("stop", "--time", "0", "keeps");
      assert.equal((await docker.ask(...state("keeps"))).trim(), "exited 137");
      await docker.ask("rm", "keeps");
    }),
);
