/**
 * Rows: a bundle by `barge oci` against `runc` and `crun`, every call a process of its own.
 *
 * @module
 */
import { type BenchScratch, isInstalled, makeBenchBundle } from "../bench_scratch.ts";
import { type Amount, inTurns, type Row, timeOf } from "../measure.ts";

/** A runtime's words, and where its containers' states are. */
interface Side {
  command: readonly string[];
  stateRoot: string;
}

/** Measures them. */
export async function ociCommandRows(scratch: BenchScratch, barge: readonly string[], amount: Amount): Promise<Row[]> {
  const work = "`barge oci run` of a busybox bundle";
  if (!isInstalled("busybox")) return [{ kind: "skipped", work, reason: "no busybox" }];
  const short = `${scratch.path}/oci-true`;
  await makeBenchBundle(short, barge);
  const long = `${scratch.path}/oci-sleep`;
  await makeBenchBundle(long, barge, undefined, ["busybox", "sleep", "1000"]);
  const ours = { command: [...barge, "oci"], stateRoot: `${scratch.path}/oci-state-barge` };
  const rows: Row[] = [];
  for (const [peer, ratioMax] of [["runc", 1], ["crun", 2]] as const) {
    if (!isInstalled(peer)) {
      rows.push({ kind: "skipped", work: `${work} against ${peer}`, reason: `no ${peer}` });
      continue;
    }
    const theirs = { command: [peer], stateRoot: `${scratch.path}/oci-state-${peer}` };
    try {
      // crun refuses hosts with cgroups of both versions.
      await run(theirs, short)();
    } catch (error) {
      const reason = error instanceof Error ? error.message.trim().split("\n").at(-1)! : String(error);
      const title = `${work} against ${peer}`;
      rows.push({ kind: "skipped", work: title, reason: `${peer} does not work here: ${reason.slice(-80)}` });
      continue;
    }
    rows.push(...await compare(ours, theirs, { short, long, amount, peer, ratioMax }));
  }
  return rows;
}

interface Comparison {
  short: string;
  long: string;
  amount: Amount;
  peer: string;
  ratioMax: number;
}

async function compare(ours: Side, theirs: Side, { short, long, amount, peer, ratioMax }: Comparison): Promise<Row[]> {
  const row = (work: string, peerWork: string, ratio: number, [bargeTimes, peerTimes]: number[][]): Row => ({
    ...{ kind: "measured", work, peer: `\`${peer}\`${peerWork}`, unit: "ms", ratioMax: ratio },
    ...{ bargeTimes: bargeTimes!, peerTimes: peerTimes! },
  });
  const rounds = amount.quick ? 10 : 50;
  const rows = [
    row(
      "`barge oci run` of a busybox bundle",
      " run",
      ratioMax,
      await inTurns(rounds, [run(ours, short), run(theirs, short)]),
    ),
    row(
      "`create`, `start`, `state`, `kill`, `delete`",
      "",
      1.5 * ratioMax,
      await inTurns(rounds / 2, [life(ours, long), life(theirs, long)]),
    ),
  ];
  await using ourContainer = await sleeping(ours, long);
  await using theirContainer = await sleeping(theirs, long);
  rows.push(
    row("`barge oci exec`", " exec", ratioMax, await inTurns(rounds, [ourContainer.exec, theirContainer.exec])),
    row(
      "50 × `run` at once",
      "",
      ratioMax,
      await inTurns(amount.quick ? 1 : 3, [many(ours, short), many(theirs, short)]),
    ),
  );
  return rows;
}

let count = 0;

/** An id that no other container has. */
function newId(): string {
  return `bench-${Deno.pid}-${count++}`;
}

function words({ command, stateRoot }: Side, ...args: string[]): string[] {
  return [...command, "--root", stateRoot, ...args];
}

function run(side: Side, bundle: string): () => Promise<number> {
  return () => timeOf(words(side, "run", "--bundle", bundle, newId()));
}

function many(side: Side, bundle: string): () => Promise<number> {
  return async () => {
    const begin = performance.now();
    await Promise.all(Array.from({ length: 50 }, run(side, bundle)));
    return performance.now() - begin;
  };
}

/** A container that is made, looked at, killed and removed. */
function life(side: Side, bundle: string): () => Promise<number> {
  return async () => {
    const id = newId();
    let timeMs = 0;
    for (const args of [["create", "--bundle", bundle, id], ["start", id], ["state", id], ["kill", id, "KILL"]]) {
      timeMs += await timeOf(words(side, ...args));
    }
    // The end of a killed process takes its time, which is nobody's.
    await ended(side, id);
    return timeMs + await timeOf(words(side, "delete", id));
  };
}

async function ended(side: Side, id: string): Promise<void> {
  const [program, ...args] = words(side, "state", id);
  for (let tries = 0; tries < 500; tries++) {
    const { stdout } = await new Deno.Command(program!, { args, stdin: "null" }).output();
    if (JSON.parse(new TextDecoder().decode(stdout)).status === "stopped") return;
  }
  throw new Error(`${id} does not end`);
}

/** A container that runs until it is disposed of. */
async function sleeping(side: Side, bundle: string) {
  const id = newId();
  await timeOf(words(side, "create", "--bundle", bundle, id));
  await timeOf(words(side, "start", id));
  return {
    exec: () => timeOf(words(side, "exec", id, "true")),
    [Symbol.asyncDispose]: async () => {
      await timeOf(words(side, "delete", "--force", id));
    },
  };
}
