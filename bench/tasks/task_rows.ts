/**
 * Rows: containers under barge's daemon and shim, and under a stock containerd with barge's shim, against stock containerd
 * with runc's; stock `ctr` is the client everywhere.
 *
 * @module
 */
import { startRegistry, tarOf, writeLayout } from "../../tests/registry.ts";
import { type BenchScratch, isInstalled, makeBenchBundle } from "../bench_scratch.ts";
import { containerdPrograms } from "../containerd.ts";
import { startSide } from "../daemon/sides.ts";
import { type Amount, inTurns, type Measured, type Row } from "../measure.ts";
import { TaskCalls } from "./task_calls.ts";
import { TaskSide } from "./task_side.ts";

const peer = "containerd, runc's shim";
const runcShim = "io.containerd.runc.v2";
const ourShim = "io.containerd.ts.v2";
/** Daemons give memory back some seconds after they had use for it. */
const calmMs = 12_000;

/** All rows of tasks. */
export async function taskRows(scratch: BenchScratch, barge: readonly string[], amount: Amount): Promise<Row[]> {
  const missing = [...containerdPrograms, "busybox", "docker-registry", "skopeo"].filter((name) => !isInstalled(name));
  if (missing.length > 0) return [{ kind: "skipped", work: "tasks", reason: `no ${missing.join(", ")}` }];
  const bundle = `${scratch.path}/tasks`;
  await makeBenchBundle(bundle, barge);
  await Deno.symlink("busybox", `${bundle}/rootfs/bin/sleep`);
  await writeLayout(`${scratch.path}/tasks-layout`, [await tarOf(`${bundle}/rootfs`)], {
    architectures: [Deno.build.arch === "x86_64" ? "amd64" : "arm64"],
    run: { Env: ["PATH=/bin"], Cmd: ["sh"] },
  });
  await using registry = await startRegistry();
  await registry.push(`oci:${scratch.path}/tasks-layout:latest`, "busybox:latest");
  const image = `${registry.host}/busybox:latest`;
  await using bargeDaemon = await startSide("barge", `${scratch.path}/tasks-barge`, barge);
  await using stockDaemon = await startSide("stock", `${scratch.path}/tasks-stock`, barge);
  const ours = new TaskSide(bargeDaemon, ourShim, image);
  const stock = new TaskSide(stockDaemon, runcShim, image);
  // By its path: a stock containerd looks for names in its own PATH.
  const ourShimUnderStock = new TaskSide(stockDaemon, shimPath(barge), image);
  const runcShimUnderOurs = new TaskSide(bargeDaemon, runcShim, image);
  await ours.pull();
  await stock.pull();
  const row = (
    work: string,
    ratioMax: number,
    [bargeTimes, peerTimes]: number[][],
    unit: Measured["unit"] = "ms",
  ): Row => ({
    ...{ kind: "measured", work, peer, unit, ratioMax },
    ...{ bargeTimes: bargeTimes!, peerTimes: peerTimes! },
  });
  const rounds = amount.quick ? 5 : 30;
  using ourCalls = new TaskCalls(bargeDaemon);
  using stockCalls = new TaskCalls(stockDaemon);
  await ourCalls.learn(await ours.create());
  await stockCalls.learn(await stock.create());
  const calls = [ourCalls, stockCalls];
  const pair = (barge: TaskSide): Promise<number[][]> => inTurns(rounds, [() => barge.run(), () => stock.run()]);
  const rows = [
    row("`ctr run --rm IMAGE true`", 1 / 3, await pair(ours)),
    row("the same by barge's shim under stock containerd", 1 / 1.3, await pair(ourShimUnderStock)),
    row("the same by runc's shim under barge's daemon", 1, await pair(runcShimUnderOurs)),
    row(
      "the same in a namespace without a shim",
      1,
      await inTurns(amount.quick ? 3 : 10, [() => ours.runInNewNamespace(), () => stock.runInNewNamespace()]),
    ),
    ...await callRows(row, calls, amount),
  ];
  if (!amount.quick) {
    const many = (side: TaskSide) => () => side.runManyAndClear(20);
    rows.push(row("20 containers at once", 1 / 4, await inTurns(3, [many(ours), many(stock)])));
  }
  const count = amount.quick ? 20 : 100;
  rows.push(row(`${count} containers at once`, 1 / 4, [[await ours.runMany(count)], [await stock.runMany(count)]]));
  rows.push(row("`ctr tasks exec`", 1 / 3, await inTurns(rounds, [() => ours.exec(), () => stock.exec()])));
  rows.push(
    row(
      "its calls, without its process",
      1 / 3,
      await inTurns(rounds, [() => ourCalls.exec(ours.running), () => stockCalls.exec(stock.running)]),
    ),
  );
  await new Promise((resolve) => setTimeout(resolve, calmMs));
  rows.push(
    row(
      `memory of daemon and shims with ${count} containers (PSS)`,
      1 / 3,
      [[ours.memoryMb()], [stock.memoryMb()]],
      "MB",
    ),
  );
  await ours.clear();
  await stock.clear();
  return rows;
}

/** Makes a row of the times of both sides. */
type MakeRow = (work: string, ratioMax: number, times: number[][]) => Row;

/** The rows in which no client is started: the client's own time is the same on both sides, and most of barge's. */
async function callRows(row: MakeRow, calls: readonly TaskCalls[], { quick }: Amount): Promise<Row[]> {
  const rows = [
    row(
      "the calls of `ctr run --rm`, without its process",
      1 / 3,
      await inTurns(quick ? 10 : 30, calls.map((side) => () => side.live())),
    ),
  ];
  for (const count of quick ? [20] : [20, 100]) {
    const times = await inTurns(2, calls.map((side) => () => side.liveTogether(count)));
    rows.push(row(`the same calls for ${count} containers at once`, 1 / 4, times));
  }
  return rows;
}

/** The shim's link beside the installed barge. */
function shimPath([program]: readonly string[]): string {
  return `${program!.slice(0, program!.lastIndexOf("/"))}/containerd-shim-ts-v2`;
}
