/**
 * A new build is installed over the one that runs: what runs keeps its own until it ends, and what is started is new.
 */
import assert from "node:assert/strict";
import { fakeCriu } from "./criu/install_fake.ts";
import { execute, sourceRoot, succeed, systemTest } from "./command.ts";
import { linkShims } from "./installed.ts";
import { startRegistry } from "./registry.ts";
import { left, programs, run, runtime, shimsOf, until } from "./tasks/handover_fixture.ts";
import { image, startTaskBench } from "./tasks/task_fixture.ts";

/** What an installation needs of the source tree. */
const parts = ["api", "cli", "daemon", "ffi", "shim", "tools", "main.ts", "mod.ts", "deno.json", "deno.lock"];

/** Installs a copy of the source tree that differs, as the next version's would, below the prefix. */
async function installAnother(prefix: string, scratch: string, mark: string): Promise<void> {
  const tree = `${scratch}/tree-${mark}`;
  await Deno.mkdir(tree);
  await succeed(["cp", "-r", ...parts.map((part) => `${sourceRoot}/${part}`), tree]);
  const path = `${tree}/api/version.ts`;
  const text = await Deno.readTextFile(path);
  const changed = text.replace(/version = "[^"]*"/, `version = "9.9.9-${mark}"`);
  assert.notEqual(changed, text);
  await Deno.writeTextFile(path, changed);
  await succeed(
    [Deno.execPath(), "run", "-A", "--quiet", "--no-check", `${tree}/tools/install.ts`, "--prefix", prefix],
    {
      timeoutMs: 180_000,
    },
  );
  await Deno.remove(tree, { recursive: true });
}

/** Names of the builds below the prefix. */
const builds = (prefix: string) => [...Deno.readDirSync(`${prefix}/lib/barge`)].map(({ name }) => name).sort();

/** The build that names lead to. */
const currentBuild = (prefix: string) => Deno.realPathSync(`${prefix}/bin/barge`).split("/").at(-3)!;

/** The builds that processes run. */
function buildsOf(pids: readonly number[]): string[] {
  return pids.map((pid) => Deno.readLinkSync(`/proc/${pid}/exe`).split("/").at(-4)!).sort();
}

systemTest(
  "a daemon and its shims go on with their own build while another is installed over it",
  [...programs, "docker-registry"],
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "barge-upgrade-" });
    try {
      await Deno.chmod(directory, 0o755);
      const prefix = `${directory}/prefix`;
      const bin = `${directory}/bin`;
      await Deno.mkdir(bin);
      await installAnother(prefix, directory, "one");
      await linkShims(bin, ["containerd-shim-ts-v2"], `${prefix}/bin/barge`);
      const fake = await fakeCriu({ path: directory }, {});
      const env = { PATH: `${bin}:${fake.directory}:${Deno.env.get("PATH")}` };
      await using registry = await startRegistry();
      await using bench = await startTaskBench({ command: [`${prefix}/bin/barge`, "daemon"], env });
      const remote = `${registry.host}/busy:1`;
      const copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"];
      await succeed([...copy, `docker-archive:${bench.archive}`, `docker://${remote}`]);
      await run(bench, "old", "sleep", "100000");
      await left(bench, "old");
      const [oldShim] = shimsOf(bench);
      const [first] = builds(prefix);

      await installAnother(prefix, directory, "two");
      assert.equal(builds(prefix).length, 2);
      assert.notEqual(currentBuild(prefix), first);
      // A changed file of the old build would be seen here: workers, and modules that are loaded when they are wanted.
      await bench.ask("images", "rm", "--sync", image);
      await bench.ask("images", "pull", "--plain-http", remote);
      await bench.ask("images", "tag", remote, image);
      assert.equal(await bench.ask("tasks", "exec", "--exec-id", "x", "old", "echo", "in"), "in\n");
      await bench.ask("tasks", "checkpoint", "--image-path", `${directory}/saved`, "old");
      assert.equal((await fake.requests()).length > 0, true);
      // The next daemon is of the new build, and finds what the old one has left; its containers get shims of its own build.
      bench.daemon = await bench.daemon.restart();
      await bench.ask("run", "-d", ...runtime, remote, "new", "sleep", "100000");
      assert.deepEqual(buildsOf(shimsOf(bench)), [first, currentBuild(prefix)].sort());
      assert.equal(await bench.ask("tasks", "exec", "--exec-id", "y", "old", "echo", "in"), "in\n");
      // What takes over from a killed shim of the old build is of the new one, and knows its containers.
      Deno.kill(oldShim!, "SIGKILL");
      await until("the old container is found again", async () => {
        const { stdout } = await execute([
          "ctr",
          "--address",
          bench.daemon.address,
          "-n",
          bench.namespace,
          "tasks",
          "ls",
        ]);
        return /^old .*RUNNING/m.test(stdout);
      });
      for (const id of ["old", "new"]) {
        await bench.ask("tasks", "rm", "-f", id);
        await bench.ask("containers", "rm", id);
      }
      for (const pid of shimsOf(bench)) Deno.kill(pid, "SIGTERM");
      await until("the shims have ended", () => shimsOf(bench).length === 0);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);
