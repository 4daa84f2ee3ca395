/**
 * Rows: the daemon's API against a stock containerd, the same calls from the same client.
 *
 * @module
 */
import { type BenchScratch, isInstalled } from "../bench_scratch.ts";
import { type Amount, inTurns, type Measured, type Row } from "../measure.ts";
import { hashing, preparedGarbage, preparedTree, worstDelay } from "./delay.ts";
import * as loads from "./loads.ts";
import { type Side, startSide } from "./sides.ts";

/** One row: what is done on a side, in the row's unit. */
interface Work {
  readonly work: string;
  readonly unit: Measured["unit"];
  /** Rounds of each side. */
  readonly rounds: number;
  /** Waiting for the disk dominates where it is 0.5. */
  readonly ratioMax: number;
  /** What barge may take at most, in the row's unit. */
  readonly bargeMax?: number;
  readonly measure: (side: Side) => Promise<number>;
}

const peer = "containerd";
/** Both daemons give memory back some seconds after they had use for it. */
const calmMs = 12_000;

/** All rows of the daemon. */
export async function daemonRows(scratch: BenchScratch, barge: readonly string[], amount: Amount): Promise<Row[]> {
  if (!isInstalled("containerd")) return [{ kind: "skipped", work: "daemon", reason: "no containerd" }];
  const rows: Row[] = [await startRow(scratch, barge, amount)];
  await using ours = await startSide("barge", `${scratch.path}/daemon-barge`, barge);
  await using stock = await startSide("stock", `${scratch.path}/daemon-stock`, barge);
  await new Promise((resolve) => setTimeout(resolve, calmMs));
  rows.push({
    ...{ kind: "measured", work: "memory of an idle daemon (PSS)", unit: "MB", peer, ratioMax: 1 },
    ...{ bargeTimes: [ours.pssMb()], peerTimes: [stock.pssMb()] },
  });
  for (const work of works(amount)) {
    console.error(`  ${work.work} …`);
    try {
      const [bargeTimes, peerTimes] = await inTurns(work.rounds, [() => work.measure(ours), () => work.measure(stock)]);
      const { measure: _, rounds: __, ...row } = work;
      rows.push({ kind: "measured", peer, ...row, bargeTimes: bargeTimes!, peerTimes: peerTimes! });
    } catch (error) {
      console.error(error);
      rows.push({ kind: "skipped", work: work.work, reason: "failed, see above" });
    }
  }
  rows.push(await growthRow(ours, stock, amount));
  return rows;
}

function works({ quick }: Amount): Work[] {
  const some = (count: number) => quick ? Math.ceil(count / 10) : count;
  const digests = new Map<Side, string>();
  const gibibyte = quick ? 128 : 1024;
  const filled = new Set<Side>();
  const listed = quick ? 1_000 : 10_000;
  return [
    us("unary call, one at a time", 1, (side) => loads.unary(side, some(5_000), 1)),
    us("unary call, 64 at once", 1, (side) => loads.unary(side, some(50_000), 64)),
    us("container: create, get, list, delete; 1 client", 0.5, (side) => loads.containerCycle(side, some(300), 1)),
    us("container: the same, 64 at once", 0.5, (side) => loads.containerCycle(side, some(3_000), 64)),
    us("image: create, get, list, delete; 1 client", 0.5, (side) => loads.imageCycle(side, some(300), 1)),
    us("image: the same, 64 at once", 0.5, (side) => loads.imageCycle(side, some(3_000), 64)),
    us("snapshot: prepare, commit, remove; 1 client", 0.5, (side) => loads.snapshotCycle(side, some(200), 1)),
    us("snapshot: the same, 64 at once", 0.5, (side) => loads.snapshotCycle(side, some(1_000), 64)),
    us("event to 50 subscribers", 1, (side) => loads.fanOut(side, some(1_000), 50)),
    ms(`content: write of ${gibibyte} MiB`, 3, async (side) => {
      const former = digests.get(side);
      if (former !== undefined) await loads.dropContent(side, former);
      const { ms, digest } = await loads.writeContent(side, gibibyte);
      digests.set(side, digest);
      return ms;
    }),
    ms(`content: read of ${gibibyte} MiB`, 3, (side) => loads.readContent(side, digests.get(side)!)),
    ms(`images: list 1 % of ${listed}`, 7, async (side) => {
      if (!filled.has(side)) await loads.fillImages(side, listed);
      filled.add(side);
      return await loads.listImages(side, listed / 100);
    }),
    delay("256 MiB are stored", (side) => worstDelay(side, () => hashing(side, 256))),
    delay("a snapshot of 20,000 files is removed", async (side) => {
      const remove = await preparedTree(side, 20_000);
      return await worstDelay(side, remove);
    }),
    delay("garbage is collected among 100,000 references", async (side) => {
      const collect = await preparedGarbage(side, some(2_000), 50);
      return await worstDelay(side, collect);
    }),
  ];
}

function us(work: string, ratioMax: number, measure: Work["measure"]): Work {
  return { work, unit: "µs", rounds: 5, ratioMax, measure };
}

function ms(work: string, rounds: number, measure: Work["measure"]): Work {
  return { work, unit: "ms", rounds, ratioMax: 1, measure };
}

function delay(what: string, measure: Work["measure"]): Work {
  return { work: `longest unary call while ${what}`, unit: "ms", rounds: 2, ratioMax: Infinity, bargeMax: 50, measure };
}

async function startRow(scratch: BenchScratch, barge: readonly string[], { quick }: Amount): Promise<Row> {
  let count = 0;
  const start = (kind: "barge" | "stock") => async () => {
    await using side = await startSide(kind, `${scratch.path}/start-${kind}-${count++}`, barge);
    return side.startMs;
  };
  const [bargeTimes, peerTimes] = await inTurns(quick ? 3 : 7, [start("barge"), start("stock")]);
  return {
    ...{ kind: "measured", work: "start of the daemon to its first answer", unit: "ms", peer, ratioMax: 1 },
    ...{ bargeTimes: bargeTimes!, peerTimes: peerTimes! },
  };
}

/** Memory after many calls; a daemon that has grown is asked again after as many, which must not add. */
async function growthRow(ours: Side, stock: Side, { quick }: Amount): Promise<Row> {
  const calls = quick ? 10_000 : 100_000;
  const after = async (side: Side) => {
    await loads.unary(side, calls, 64);
    await new Promise((resolve) => setTimeout(resolve, calmMs));
    return side.pssMb();
  };
  return {
    ...{ kind: "measured", work: `memory after all this and ${calls} calls (PSS)`, unit: "MB", peer, ratioMax: 1 },
    ...{ bargeTimes: [await after(ours), await after(ours)], peerTimes: [await after(stock), await after(stock)] },
  };
}
