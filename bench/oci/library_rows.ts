/**
 * Rows: the runtime as a library, inside a process that runs already, as the shim uses it, against the calls of runc that
 * runc's shim makes for the same work; and where the time of a creation goes.
 *
 * @module
 */
import { AnsweringProgram } from "../answering_program.ts";
import { type BenchScratch, isInstalled, makeBenchBundle } from "../bench_scratch.ts";
import { type Amount, inTurns, median, type Row, timeOf } from "../measure.ts";
import { createPhases } from "./create_phases.ts";

const work = "create and start inside a running process";

/** Measures them. */
export async function ociLibraryRows(scratch: BenchScratch, barge: readonly string[], amount: Amount): Promise<Row[]> {
  const missing = ["runc", "busybox"].filter((program) => !isInstalled(program));
  if (missing.length > 0) return [{ kind: "skipped", work, reason: `no ${missing.join(", ")}` }];
  const bundle = `${scratch.path}/oci-library`;
  await makeBenchBundle(bundle, barge, undefined, ["busybox", "sleep", "1000"]);
  await using library = new AnsweringProgram([
    ...[Deno.execPath(), "run", "-A", "--quiet", new URL("library_program.ts", import.meta.url).pathname],
    ...[bundle, `${scratch.path}/oci-library-state`],
  ]);
  const runc = (...args: string[]) => timeOf(["runc", "--root", `${scratch.path}/oci-library-runc`, ...args]);
  const id = `bench-library-${Deno.pid}`;
  const remove = () => runc("delete", "--force", id);
  const createAndStart = async () => {
    const timeMs = await runc("create", "--bundle", bundle, id) + await runc("start", id);
    await remove();
    return timeMs;
  };
  const batch = 5;
  const rounds = amount.quick ? 5 : 20;
  const starts = await inTurns(rounds, [() => library.numbers(`start ${batch}`), createAndStart]);
  await runc("create", "--bundle", bundle, id);
  await runc("start", id);
  const execs = await inTurns(rounds, [() => library.numbers(`exec ${batch}`), () => runc("exec", id, "true")]);
  await remove();
  const phases = await library.numbers("phases 50");
  const row = (title: string, peer: string, [bargeTimes, peerTimes]: number[][]): Row => ({
    ...{ kind: "measured", work: title, peer, unit: "ms", ratioMax: 1 / 8 },
    ...{ bargeTimes: bargeTimes!, peerTimes: peerTimes! },
  });
  return [
    row(work, "`runc create`, `runc start`", starts),
    row("exec inside a running process", "`runc exec`", execs),
    { kind: "note", text: await whereTimeGoes(phases, [...barge, "oci"]) },
  ];
}

/** One sentence on the phases of a creation, and on what a process of its own takes before it begins. */
async function whereTimeGoes(phases: readonly number[], oci: readonly string[]): Promise<string> {
  const texts = createPhases.map((phase, index) => `${phase} ${phases[index]!.toFixed(2)}`);
  const starts: number[] = [];
  for (let round = 0; round < 10; round++) starts.push(await timeOf([...oci, "--version"]));
  return `Where the time of a creation inside a running process goes, in ms: ${texts.join(", ")}. ` +
    `\`barge oci\` itself starts and ends in ${median(starts).toFixed(1)} ms.`;
}
