/**
 * Which containers share a shim under barge's daemon, as its configuration says.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { bundleOf, nothingLeft, programs, runtime, withOwnShim } from "./handover_fixture.ts";
import { image, type TaskBench } from "./task_fixture.ts";

/** Runs a container for each pod that is named, and gives which of their shims are the same: numbers in order. */
async function shimsFor(bench: TaskBench, ...pods: string[]): Promise<number[]> {
  const ids = pods.map((_, index) => `c${index}`);
  const sockets: string[] = [];
  for (const [index, pod] of pods.entries()) {
    const flags = ["--annotation", `io.kubernetes.cri.sandbox-id=${pod}`];
    await bench.ask("run", "-d", ...runtime, ...flags, image, ids[index]!, "sleep", "1000");
    sockets.push(JSON.parse(Deno.readTextFileSync(`${bundleOf(bench, ids[index]!)}/bootstrap.json`)).address);
  }
  for (const id of ids) await bench.ask("tasks", "rm", "-f", id);
  await bench.ask("containers", "rm", ...ids);
  await nothingLeft(bench);
  const different = [...new Set(sockets)];
  return sockets.map((socket) => different.indexOf(socket));
}

/** Goes on with another configuration of the shims. */
async function configure(bench: TaskBench, lines: string): Promise<void> {
  const { options } = bench.daemon;
  await bench.daemon.stop();
  const config = `[plugins."io.containerd.shim.v1.manager"]\n${lines}\n`;
  Object.assign(bench.daemon, { options: { ...options, config } });
  bench.daemon = await bench.daemon.restart();
}

systemTest(
  "containers share shims by namespace, by pod, or not, and a shim takes no more than it may",
  programs,
  () =>
    withOwnShim(async (bench) => {
      assert.deepEqual(await shimsFor(bench, "x", "y", "x"), [0, 0, 0]);
      await configure(bench, "shim_places = 2");
      assert.deepEqual(await shimsFor(bench, "x", "y", "x"), [0, 0, 1]);
      await configure(bench, 'shim_group = "pod"');
      assert.deepEqual(await shimsFor(bench, "x", "y", "x"), [0, 1, 0]);
      await configure(bench, 'shim_group = "container"');
      assert.deepEqual(await shimsFor(bench, "x", "y", "x"), [0, 1, 2]);
    }),
);
