/**
 * Row: a container's start inside a running process, against the same system calls from C.
 *
 * @module
 */
import { parseSpec } from "../../shim/oci/spec/parse.ts";
import { AnsweringProgram } from "../answering_program.ts";
import { type BenchScratch, isInstalled, makeBenchBundle } from "../bench_scratch.ts";
import { type Amount, inTurns, outputOf, type Row } from "../measure.ts";
import { address, peerFile } from "./calls.ts";

const work = "create and start to exec, inside a running process";

/** Measures it. */
export async function startRow(scratch: BenchScratch, barge: readonly string[], amount: Amount): Promise<Row> {
  const missing = ["cc", "busybox"].filter((program) => !isInstalled(program));
  if (missing.length > 0) return { kind: "skipped", work, reason: `no ${missing.join(", ")}` };
  const stateRoot = await scratch.memory("start-state");
  const name = scratch.path.slice(scratch.path.lastIndexOf("-") + 1);
  const bundles = [];
  for (const side of ["ours", "theirs"]) {
    const path = `${scratch.path}/start-${side}`;
    await makeBenchBundle(path, barge, `/barge-bench-${name}-${side}`);
    bundles.push(path);
  }
  const [ours, theirs] = bundles;
  const executable = `${scratch.path}/start`;
  await outputOf(["cc", "-O2", "-o", executable, new URL("start.c", import.meta.url).pathname]);
  const { bytes, offsets, counts } = peerFile({
    id: "theirs",
    spec: parseSpec(await Deno.readTextFile(`${theirs}/config.json`)),
    bundle: theirs!,
    rootfs: `${theirs}/rootfs`,
    stateRoot,
  });
  await Deno.writeFile(`${scratch.path}/calls`, bytes);
  await using us = new AnsweringProgram([
    ...[Deno.execPath(), "run", "-A", "--quiet", new URL("worker.ts", import.meta.url).pathname],
    ...[ours!, stateRoot, "ours"],
  ]);
  await using them = new AnsweringProgram([
    ...[executable, `${scratch.path}/calls`, `0x${address.toString(16)}`, ...offsets.map(String), "/dev/null"],
  ]);
  const batch = 5;
  const rounds = amount.quick ? 6 : 30;
  const [bargeTimes, peerTimes] = await inTurns(rounds, [
    () => us.numbers(String(batch)),
    () => them.numbers(String(batch)),
  ]);
  return {
    kind: "measured",
    work,
    peer: `the same ${counts[0]! + counts[1]! + counts[2]!} system calls from C`,
    unit: "µs",
    bargeTimes: bargeTimes!,
    peerTimes: peerTimes!,
    ratioMax: 2,
  };
}
