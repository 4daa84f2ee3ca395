/**
 * Stock containerd and its shim, with barge in the place of runc.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execute } from "../command.ts";
import { type Caller, callerTest, Served } from "./caller.ts";
import { patient } from "../patience.ts";

async function withContainerd(caller: Caller, body: (ctr: Served, run: string[]) => Promise<void>): Promise<void> {
  const { scratch, runtime, rootfs } = caller;
  const config = `${scratch.path}/config.toml`;
  await Deno.writeTextFile(config, 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n');
  const address = `${scratch.path}/sock`;
  await using ctr = new Served([
    ...["containerd", "--config", config, "--root", `${scratch.path}/root`, "--state", `${scratch.path}/state`],
    ...["--address", address],
  ], ["ctr", "--address", address, "--namespace", scratch.name]);
  await ctr.answers("version");
  await body(ctr, [
    "run",
    "--env",
    "PATH=/bin",
    "--runc-binary",
    runtime,
    "--runc-root",
    `${scratch.path}/runc`,
    "--rootfs",
    rootfs,
  ]);
  // The namespace's own cgroup is left by every runtime; one that is not empty stays, and fails the test.
  for (const path of scratch.cgroups().filter((path) => path.endsWith(`/${scratch.name}`))) await Deno.remove(path);
}

const programs = ["containerd", "ctr", "containerd-shim-runc-v2", "script"];

callerTest(
  "stock containerd runs containers: output, exit code, errors, terminal",
  programs,
  (caller) =>
    withContainerd(caller, async (ctr, [run = "", ...flags]) => {
      const { scratch } = caller;
      const start = (id: string, ...args: string[]) => ctr.run(run, "--rm", ...flags, scratch.id(id), ...args);
      const first = await start("a", "sh", "-c", "echo out; echo err >&2; sleep 1; exit 5");
      // Stock ctr 1.6 may end before it has copied what came: commands give it a second.
      assert.deepEqual([first.code, first.stdout], [5, "out\n"]);
      const missing = await start("b", "nosuch");
      assert.equal(missing.code, 1);
      assert.match(missing.stderr, /OCI runtime create failed: .*exec: "nosuch": executable file not found in \$PATH/);
      const command = [
        ...ctr.client,
        run,
        "--rm",
        "-t",
        ...flags,
        scratch.id("c"),
        "sh",
        "-c",
        "test -t 0 && echo a tty; sleep 1",
      ];
      const terminal = await execute(["script", "-qec", command.map((word) => `'${word}'`).join(" "), "/dev/null"]);
      assert.match(terminal.stdout, /a tty/);
    }),
);

callerTest(
  "stock containerd leads a container's whole life",
  programs,
  (caller) =>
    withContainerd(caller, async (ctr, [run = "", ...flags]) => {
      const id = caller.scratch.id("life");
      await ctr.ask(run, "-d", ...flags, id, "sh", "-c", "trap 'exit 4' TERM; while :; do sleep 0.05; done");
      // Stock ctr 1.6 may end before it has copied what came: an empty output says nothing.
      let said = "";
      for (let n = 0; said === "" && n < 5; n++) {
        said = await ctr.ask("task", "exec", "--exec-id", `e${n}`, id, "echo", "in");
      }
      assert.equal(said, "in\n");
      assert.equal((await ctr.run("task", "exec", "--exec-id", "e2", id, "sh", "-c", "exit 7")).code, 7);
      const user = ["--exec-id", "e3", "--user", "1000:50", "--cwd", "/tmp"];
      assert.equal(await ctr.ask("task", "exec", ...user, id, "sh", "-c", "id -u; pwd; sleep 1"), "1000\n/tmp\n");
      assert.match(await ctr.ask("task", "ps", id), /^PID +INFO\n\d+/);
      assert.match(await ctr.ask("task", "metrics", id), /memory\.usage|memory/);
      await ctr.ask("task", "pause", id);
      assert.match(await ctr.ask("task", "ls"), /PAUSED/);
      await ctr.ask("task", "resume", id);
      await ctr.ask("task", "kill", "--signal", "TERM", id);
      for (let tries = 0; !/STOPPED/.test(await ctr.ask("task", "ls")) && tries < patient(50); tries++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await ctr.ask("task", "delete", id);
      await ctr.ask("container", "delete", id);
      assert.deepEqual([...Deno.readDirSync(`${caller.scratch.path}/runc/${caller.scratch.name}`)], []);
    }),
);
