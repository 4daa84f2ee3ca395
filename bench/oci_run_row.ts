/**
 * Rows: a bundle by `barge oci run` against `runc run` and `crun run`.
 *
 * @module
 */
import { type BenchScratch, isInstalled, makeBenchBundle } from "./bench_scratch.ts";
import { type Amount, inTurns, type Row, timeOf } from "./measure.ts";

/** Measures them. */
export async function ociRunRows(scratch: BenchScratch, barge: readonly string[], amount: Amount): Promise<Row[]> {
  const work = "`barge oci run` of a busybox bundle";
  if (!isInstalled("busybox")) return [{ kind: "skipped", work, reason: "no busybox" }];
  const bundle = `${scratch.path}/oci-run`;
  await makeBenchBundle(bundle, barge);
  const rows: Row[] = [];
  for (const [peer, ratioMax] of [["runc", 1], ["crun", 2]] as const) {
    const title = `${work} against ${peer}`;
    if (!isInstalled(peer)) {
      rows.push({ kind: "skipped", work: title, reason: `no ${peer}` });
      continue;
    }
    const run = (runtime: readonly string[]) => () =>
      timeOf([...runtime, "--root", `${scratch.path}/oci-state`, "run", "--bundle", bundle, `bench-${Deno.pid}`]);
    try {
      // crun refuses hosts with cgroups of both versions.
      await run([peer])();
    } catch (error) {
      const reason = error instanceof Error ? error.message.trim().split("\n").at(-1)! : String(error);
      rows.push({ kind: "skipped", work: title, reason: `${peer} does not work here: ${reason.slice(-80)}` });
      continue;
    }
    const [bargeTimes, peerTimes] = await inTurns(amount.quick ? 10 : 50, [run([...barge, "oci"]), run([peer])]);
    rows.push({
      kind: "measured",
      work,
      peer: `\`${peer} run\``,
      unit: "ms",
      bargeTimes: bargeTimes!,
      peerTimes: peerTimes!,
      ratioMax,
    });
  }
  return rows;
}
