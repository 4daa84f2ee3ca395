/**
 * What a container prints just before it ends reaches who is attached to it by Debian's dockerd, and Docker's log, in barge's
 * shim as in runc's.
 *
 * Docker shows nothing more from the moment on that the client's input ends (`echo x | docker attach` loses the answer most
 * times, in any shim): the input stays open here until the answer can be there, and without that only the log is asked.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execute, systemTest } from "../command.ts";
import { type Docker, withDocker } from "./docker_fixture.ts";
import { startOwnShimBench } from "./own_shim_fixture.ts";
import { startTaskBench } from "./task_fixture.ts";

const programs = ["busybox", "tar", "ctr", "skopeo", "dockerd", "docker", "runc"];
const rounds = 8;

systemTest("Docker shows a container's last words, in barge's shim", programs, () =>
  withDocker(async (docker) => {
    await answer(docker, "{ echo x; sleep 2; }", true);
    await answer(docker, "echo x", false);
  }, startOwnShimBench));

systemTest(
  "Docker shows a container's last words, under stock containerd",
  [...programs, "containerd"],
  () =>
    withDocker(async (docker) => {
      await answer(docker, "{ echo x; sleep 2; }", true);
      await answer(docker, "echo x", false);
    }, () => startTaskBench({ kind: "stock" })),
);

/** Containers answer a line of input and end at once, all at a time; every answer must have arrived, as a whole. */
async function answer(docker: Docker, typing: string, shown: boolean): Promise<void> {
  const script = "read x; printf %0300000d 0; echo got $x";
  await Promise.all(Array.from({ length: rounds }, async (_, round) => {
    const name = `answer${round}`;
    const run = ["run", "--network", "none", "--detach", "--interactive", "--name", name];
    await docker.ask(...run, "busy:1", "sh", "-c", script);
    const attach = `${typing} | docker --host ${docker.host} attach --sig-proxy=false ${name}`;
    const { code, stdout, stderr } = await execute(["sh", "-c", attach], { timeoutMs: 30_000 });
    assert.equal(code, 0, stderr);
    const said = `${"0".repeat(300_000)}got x\n`;
    if (shown) assert(stdout === said, `${name} shows ${stdout.length} bytes of ${said.length}`);
    const logged = await docker.ask("logs", name);
    assert(logged === said, `the log of ${name} has ${logged.length} bytes of ${said.length}`);
    await docker.ask("rm", name);
  }));
}
