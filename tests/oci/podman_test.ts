/**
 * Debian's podman (with conmon) and buildah, with barge as their runtime.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execute, type Finished, succeed } from "../command.ts";
import { archiveOf, type Caller, callerTest } from "./caller.ts";

/** Limits that podman would raise, which needs a right that a test machine may lack. */
const limits = ["--ulimit", "nofile=512:512", "--ulimit", "nproc=512:512"];

const run = ["run", "--network", "none", ...limits];

/** Podman and buildah keep everything below the test's directory. */
function commands({ scratch, runtime }: Caller) {
  const storage = ["--root", `${scratch.path}/storage`, "--runroot", `${scratch.path}/run`, "--storage-driver=vfs"];
  const podman = [
    ...["podman", ...storage, "--tmpdir", `${scratch.path}/tmp`, "--cgroup-manager=cgroupfs", "--events-backend=none"],
    ...["--network-config-dir", `${scratch.path}/net`, "--runtime", runtime],
  ];
  return {
    podman: (...args: string[]): Promise<Finished> => execute([...podman, ...args]),
    ask: (...args: string[]): Promise<string> => succeed([...podman, ...args]),
    buildah: (...args: string[]): Promise<string> => succeed(["buildah", ...storage, ...args]),
    tryBuildah: (...args: string[]): Promise<Finished> => execute(["buildah", ...storage, ...args]),
  };
}

callerTest("podman runs containers: output, exit codes, errors, terminal", ["podman", "conmon"], async (caller) => {
  const { podman, ask } = commands(caller);
  await ask("import", await archiveOf(caller), "busy");
  assert.equal(await ask(...run, "--rm", "busy", "echo", "hello"), "hello\n");
  assert.equal((await podman(...run, "--rm", "busy", "sh", "-c", "exit 9")).code, 9);
  assert.equal((await podman(...run, "--rm", "busy", "nosuch")).code, 127);
  assert.match(await ask(...run, "--rm", "-t", "busy", "sh", "-c", "test -t 0 && echo tty"), /tty/);
  await Deno.mkdir(`${caller.rootfs}/data`);
  const memory = ["--read-only", "--tmpfs", "/etc:rw"];
  assert.match(await ask(...run, "--rm", ...memory, "busy", "sh", "-c", "touch /etc/x; cat /etc/group"), /^root:x:0/);
});

callerTest("podman leads a container's whole life", ["podman", "conmon"], async (caller) => {
  const { podman, ask } = commands(caller);
  await ask("import", await archiveOf(caller), "busy");
  const script = "trap 'exit 4' TERM; echo began; while :; do sleep 0.1; done";
  const healthy = ["--health-cmd", "test -e /tmp/well", "--health-interval", "disable"];
  await ask(...run, "-d", "--name", "life", ...healthy, "busy", "sh", "-c", script);
  assert.equal(await ask("exec", "life", "echo", "in"), "in\n");
  assert.equal((await podman("exec", "life", "sh", "-c", "exit 5")).code, 5);
  assert.match(await ask("exec", "-t", "life", "sh", "-c", "test -t 1 && echo tty"), /tty/);
  await ask("exec", "life", "touch", "/tmp/well");
  await ask("healthcheck", "run", "life");
  assert.equal(await ask("inspect", "--format", "{{.State.Health.Status}}", "life"), "healthy\n");
  await ask("exec", "life", "rm", "/tmp/well");
  assert.equal((await podman("healthcheck", "run", "life")).code, 1);
  assert.equal(
    await ask("exec", "--user", "1000:50", "--workdir", "/etc", "life", "sh", "-c", "id -u; pwd"),
    "1000\n/etc\n",
  );
  await ask("exec", "--detach", "life", "touch", "/tmp/detached");
  assert.equal(await ask("logs", "life"), "began\n");
  assert.match(await ask("top", "life"), /^USER +PID[^]*sh -c/);
  assert.match(await ask("stats", "--no-stream", "--format", "{{.Name}} {{.PIDS}}", "life"), /^life [1-9]/);
  await ask("pause", "life");
  assert.match(await ask("ps", "--all", "--format", "{{.Status}}"), /paused/i);
  await ask("unpause", "life");
  await ask("stop", "--time", "5", "life");
  assert.equal((await ask("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "life")).trim(), "exited 4");
  await ask("start", "life");
  await ask("kill", "--signal", "KILL", "life");
  assert.equal((await ask("wait", "life")).trim(), "137");
  await ask("rm", "life");
});

callerTest("buildah runs commands in a working container", ["buildah", "podman", "conmon"], async (caller) => {
  const { ask, buildah, tryBuildah } = commands(caller);
  await ask("import", await archiveOf(caller), "busy");
  const container = (await buildah("from", "--pull-never", "localhost/busy")).trim();
  const command = ["sh", "-c", "echo built > /made; cat /made"];
  const output = await buildah("run", "--runtime", caller.runtime, "--network", "none", container, "--", ...command);
  assert.equal(output, "built\n");
  const failed = await tryBuildah("run", "--runtime", caller.runtime, "--network", "none", container, "--", "false");
  assert.equal(failed.code, 1);
  await buildah("rm", container);
  const file = `${caller.scratch.path}/Containerfile`;
  await Deno.writeTextFile(
    file,
    "FROM localhost/busy\nRUN echo step > /step; chmod 1777 /tmp\nUSER 1000\nRUN id -u > /tmp/user\n",
  );
  const flags = ["--runtime", caller.runtime, "--network", "none", "--pull-never", "--file", file, "--tag", "made"];
  const context = `${caller.scratch.path}/context`;
  await Deno.mkdir(context);
  await buildah("build", ...flags, context);
  assert.equal(await ask(...run, "--rm", "made", "cat", "/step", "/tmp/user"), "step\n1000\n");
});
