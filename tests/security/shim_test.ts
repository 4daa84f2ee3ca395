/**
 * A shim that holds the descriptors, the environment and the memory of many containers: none of them sees another's.
 * CVE-2020-15257, CVE-2024-25621.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { linkShims } from "../installed.ts";
import { image, startTaskBench, type TaskBench } from "../tasks/task_fixture.ts";

const runtime = ["--runtime", "io.containerd.ts.v2"];
const containers = 20;

/** A daemon that finds the installed shim. */
async function withOwnShim(body: (bench: TaskBench) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "barge-shim-" });
  await linkShims(directory);
  try {
    await using bench = await startTaskBench({ env: { PATH: `${directory}:${Deno.env.get("PATH")}` } });
    await body(bench);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** What the descriptors of a process lead to. */
function targets(pid: number): string[] {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/${pid}/fd/${name}`)];
    } catch {
      return []; // Closed between the two looks.
    }
  });
}

/** Task → process id. */
async function tasks(bench: TaskBench): Promise<Map<string, number>> {
  const lines = (await bench.ask("tasks", "ls")).trim().split("\n").slice(1);
  return new Map(lines.map((line) => line.split(/\s+/)).map(([id, pid]) => [id!, Number(pid)]));
}

systemTest(
  `one of ${containers} containers in a shim sees nothing of the others, nor of the shim`,
  ["busybox", "tar", "ctr", "skopeo"],
  () =>
    withOwnShim(async (bench) => {
      const ids = Array.from({ length: containers }, (_, index) => `c${index}`);
      const start = (id: string) =>
        bench.ask("run", "-d", ...runtime, "--env", `SECRET=of-${id}-alone`, image, id, "sleep", "1000");
      for (let first = 0; first < containers; first += 4) await Promise.all(ids.slice(first, first + 4).map(start));
      const shims = bench.servers();
      assert.equal(shims.length, 1);
      const look =
        "for fd in /proc/1/fd/* /proc/$$/fd/*; do readlink $fd; done; cat /proc/[0-9]*/environ /proc/[0-9]*/maps; ps";
      const seen = await bench.ask("tasks", "exec", "--exec-id", "look", "c19", "sh", "-c", look);
      assert.match(seen, /of-c19-alone/);
      assert.doesNotMatch(seen, /of-c(?!19)/);
      assert.doesNotMatch(seen, /deno|memfd|containerd|socket:|anon_inode/);
      const processes = await tasks(bench);
      assert.equal(processes.size, containers);
      // The pipes of all are the shim's, and each container has three of its own.
      const pipes = ids.flatMap((id) => targets(processes.get(id)!));
      assert.equal(
        pipes.filter((link) => /^pipe:/.test(link)).length + pipes.filter((link) => link === "/dev/null").length,
        3 * containers,
      );
      const distinct = pipes.filter((link) => link !== "/dev/null");
      assert.equal(new Set(distinct).size, distinct.length);
      const held = new Set(targets(shims[0]!));
      assert.ok(distinct.filter((link) => held.has(link)).length >= containers, "the test looks at another process");
      assertPrivate(bench);
      await Promise.all(ids.map((id) => bench.ask("tasks", "rm", "-f", id)));
      await Promise.all(ids.map((id) => bench.ask("containers", "rm", id)));
    }),
);

/** No socket that a container in the host's network namespace could connect to, and no directory for other users. */
function assertPrivate({ daemon, namespace }: TaskBench): void {
  const abstract = Deno.readTextFileSync("/proc/net/unix").split("\n").filter((line) => / @/.test(line));
  assert.deepEqual(abstract.filter((line) => line.includes("barge") || line.includes(namespace)), []);
  for (const directory of [daemon.state, daemon.root]) {
    const mode = (Deno.statSync(directory).mode ?? 0) & 0o777;
    assert.equal(mode & 0o066, 0, `${directory} has mode ${mode.toString(8)}`);
  }
  const socket = (Deno.statSync(daemon.address).mode ?? 0) & 0o777;
  assert.equal(socket & 0o007, 0, `the daemon's socket has mode ${socket.toString(8)}`);
}
