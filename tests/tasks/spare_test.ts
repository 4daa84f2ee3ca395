/**
 * The shim that barge's daemon keeps ahead: whose it becomes, and that it is neither missed nor left over.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import {
  bundleOf,
  endShims,
  listed,
  nothingLeft,
  programs,
  run,
  shimsOf,
  until,
  withOwnShim,
} from "./handover_fixture.ts";
import type { TaskBench } from "./task_fixture.ts";

/** Processes of the daemon's that are nobody's shim yet, whatever they wait for. */
function sparesOf({ daemon }: TaskBench): number[] {
  return [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).map(({ name }) => Number(name))
    .filter((pid) => {
      const words = wordsOf(pid);
      return words.includes(daemon.address) && words.includes("spare");
    });
}

function wordsOf(pid: number): string[] {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0");
  } catch {
    // It has ended meanwhile.
    return [];
  }
}

/** Each container wants a shim of its own. */
const alone = `[plugins."io.containerd.shim.v1.manager"]\nshim_group = "container"\n`;

/** Waits until there is one that is ready, and gives its process. */
async function spareOf(bench: TaskBench, except?: number): Promise<number> {
  await until("a shim is ahead", () => {
    const [first, ...others] = sparesOf(bench);
    return first !== undefined && first !== except && others.length === 0 && isReady(first);
  });
  const [spare] = sparesOf(bench);
  assert(spare !== undefined);
  return spare;
}

/** One that waits for its work has made itself a better victim of the kernel than the daemon is. */
function isReady(pid: number): boolean {
  return scoreOf(pid) === scoreOf(Deno.pid) + 1;
}

function scoreOf(pid: number): number {
  return Number(Deno.readTextFileSync(`/proc/${pid}/oom_score_adj`));
}

function cgroupsOf(pid: number): string {
  return Deno.readTextFileSync(`/proc/${pid}/cgroup`);
}

async function remove(bench: TaskBench, ...ids: string[]): Promise<void> {
  for (const id of ids) await bench.ask("tasks", "rm", "-f", id);
  await bench.ask("containers", "rm", ...ids);
}

systemTest(
  "a namespace's first container takes the shim that was started ahead, and another one follows",
  programs,
  () =>
    withOwnShim(async (bench) => {
      const spare = await spareOf(bench);
      await run(bench, "one", "sleep", "1000");
      assert.deepEqual(shimsOf(bench), [spare]);
      // It looks like a shim that was started for this container.
      assert.deepEqual(wordsOf(spare).filter((word) => word !== "").slice(-8), [
        ...["-namespace", bench.namespace, "-address", bench.daemon.address],
        ...["-publish-binary", wordsOf(spare)[wordsOf(spare).indexOf("-publish-binary") + 1]!, "-id", "one"],
      ]);
      assert.equal(Deno.readTextFileSync(`${bundleOf(bench, "one")}/shim.pid`), String(spare));
      assert.equal(cgroupsOf(spare), cgroupsOf(bench.daemon.pid));
      await run(bench, "two", "sleep", "1000");
      assert.deepEqual(shimsOf(bench), [spare]);
      await spareOf(bench, spare);
      await remove(bench, "one", "two");
      await nothingLeft(bench);
    }),
);

systemTest(
  "containers at once get shims, whether there is one ahead or not",
  programs,
  () =>
    withOwnShim(async (bench) => {
      const spare = await spareOf(bench);
      const ids = ["one", "two", "three", "four"];
      await Promise.all(ids.map((id) => run(bench, id, "sleep", "1000")));
      const shims = shimsOf(bench);
      assert.equal(shims.length, 4);
      assert(shims.includes(spare));
      await spareOf(bench, spare);
      await remove(bench, ...ids);
      await nothingLeft(bench);
    }, { config: alone }),
);

systemTest(
  "a shim that was started ahead ends with the daemon, and one that was taken does not",
  programs,
  () =>
    withOwnShim(async (bench) => {
      const taken = await spareOf(bench);
      await run(bench, "one", "sleep", "1000");
      for (const signal of ["SIGKILL", "SIGTERM"] as const) {
        const spare = await spareOf(bench);
        await bench.daemon.stop(signal);
        await until("the spare shim has ended", () => !sparesOf(bench).includes(spare));
        assert.deepEqual(shimsOf(bench), [taken]);
        bench.daemon = await bench.daemon.restart();
      }
      assert.equal(await bench.ask("tasks", "exec", "--exec-id", "x", "one", "echo", "here"), "here\n");
      await remove(bench, "one");
      await nothingLeft(bench);
    }),
);

systemTest(
  "a container comes without a shim ahead: where that was killed, or is stopped, or is not wanted",
  programs,
  () =>
    withOwnShim(async (bench) => {
      const killed = await spareOf(bench);
      Deno.kill(killed, "SIGKILL");
      await run(bench, "one", "sleep", "1000");
      const stopped = await spareOf(bench, killed);
      Deno.kill(stopped, "SIGSTOP");
      await run(bench, "two", "sleep", "1000");
      assert.equal(shimsOf(bench).length, 2);
      assert(!shimsOf(bench).includes(stopped));
      await until("the stopped one has ended", () => !sparesOf(bench).includes(stopped));
      await remove(bench, "one", "two");
      await endShims(bench);
      const { options } = bench.daemon;
      await bench.daemon.stop();
      Object.assign(bench.daemon, { options: { ...options, config: `${alone}spare_shim = false\n` } });
      bench.daemon = await bench.daemon.restart();
      await run(bench, "three", "sleep", "1000");
      assert.deepEqual(sparesOf(bench), []);
      await remove(bench, "three");
      await nothingLeft(bench);
    }, { config: alone }),
);

systemTest(
  "a container whose first shim is killed at once is taken over by the one that is ahead then",
  programs,
  () =>
    withOwnShim(async (bench) => {
      const first = await spareOf(bench);
      await run(bench, "one", "sh", "-c", "trap '' TERM; sleep 1000");
      Deno.kill(first, "SIGKILL");
      await until("another shim has it", () => shimsOf(bench).some((pid) => pid !== first));
      await listed(bench, /^one .*RUNNING$/m);
      await remove(bench, "one");
      await nothingLeft(bench);
    }),
);

systemTest(
  "a shim that cannot be started ahead, such as an older one, is started as containerd does it",
  programs,
  () =>
    withOwnShim(async (bench) => {
      const path = bench.daemon.options.env!["PATH"]!.split(":")[0]!;
      const program = `${path}/containerd-shim-ts-v2`;
      await bench.daemon.stop();
      await Deno.mkdir(`${path}/real`);
      await Deno.rename(program, `${path}/real/containerd-shim-ts-v2`);
      const script = `case "$*" in *spare*) exit 1;; esac; exec '${path}/real/containerd-shim-ts-v2' "$@"`;
      await Deno.writeTextFile(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      bench.daemon = await bench.daemon.restart();
      await run(bench, "one", "sleep", "1000");
      assert.equal(shimsOf(bench).length, 1);
      await remove(bench, "one");
      await nothingLeft(bench);
    }),
);
