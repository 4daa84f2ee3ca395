/** Random changes through a real overlay: its upper directory alone must give the layer that both trees give. */
import { equal } from "node:assert/strict";
import type { CompareJob, CompareResult } from "../../daemon/diff/compare.ts";
import { JobWorker, workerUrl } from "../../daemon/diff/job_worker.ts";
import { succeed, systemTest } from "../command.ts";
import { makeScratch, randomNumbers } from "../scratch.ts";

const rounds = 12;
const changesPerLayer = 40;
const names = ["a", "b", "c", "d"];

/** One random change below the directory; what cannot be done there is left. */
function change(root: string, random: () => number): void {
  const pick = <T>(values: readonly T[]) => values[Math.floor(random() * values.length)]!;
  const path = () => [root, ...Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(names))].join("/");
  const kinds: (() => void)[] = [
    () => Deno.mkdirSync(path(), { recursive: true }),
    () => Deno.mkdirSync(path(), { recursive: true }),
    () => Deno.writeTextFileSync(path(), String(random())),
    () => Deno.writeTextFileSync(path(), "same"),
    () => Deno.removeSync(path(), { recursive: true }),
    () => Deno.renameSync(path(), path()),
    () => Deno.linkSync(path(), path()),
    () => Deno.symlinkSync(pick(names), path()),
    () => Deno.chmodSync(path(), pick([0o700, 0o755, 0o644])),
    () => Deno.utimeSync(path(), 1, pick([1_600_000_000, 1_600_000_001])),
  ];
  try {
    pick(kinds)();
  } catch {
    // The name is taken, missing, or of another type: the next change may do better.
  }
}

systemTest("walkUpper() tells of an overlay what walkBoth() tells of both trees", ["mount", "umount"], async () => {
  await using scratch = await makeScratch();
  const random = randomNumbers("overlay changes");
  const importer = new URL("../../daemon/diff/compare.ts", import.meta.url).href;
  using worker = new JobWorker<CompareJob, CompareResult>(workerUrl(importer, "compare_worker_main"), "test");
  const output = `${scratch.path}/layer`;
  await Deno.writeFile(output, new Uint8Array());
  for (let round = 0; round < rounds; round++) {
    const base = `${scratch.path}/${round}`;
    const layers: string[] = [];
    for (const layer of ["one", "two", "three"]) {
      for (const part of ["fs", "work", "mnt"]) Deno.mkdirSync(`${base}/${layer}/${part}`, { recursive: true });
      const lower = layers.join(":") || `${base}/one/mnt`;
      const options = `index=off,workdir=${base}/${layer}/work,upperdir=${base}/${layer}/fs,lowerdir=${lower}`;
      await succeed(["mount", "-t", "overlay", "overlay", `${base}/${layer}/mnt`, "-o", options]);
      for (let count = 0; count < changesPerLayer; count++) change(`${base}/${layer}/mnt`, random);
      await succeed(["umount", `${base}/${layer}/mnt`]);
      layers.unshift(`${base}/${layer}/fs`);
    }
    const overlay = (...options: string[]) => [{ type: "overlay", source: "overlay", target: "", options }];
    const [upper, ...lowers] = layers;
    const lowerdir = `lowerdir=${lowers.join(":")}`;
    const job: CompareJob = {
      lower: overlay(lowerdir),
      upper: overlay(`workdir=${base}/three/work`, `upperdir=${upper}`, lowerdir),
      packing: "none",
      output,
      mountDirectory: `${scratch.path}/tmpmounts`,
    };
    const signal = AbortSignal.timeout(30_000);
    const quick = await worker.run(job, signal);
    const whole = await worker.run({ ...job, walkBoth: true }, signal);
    equal(quick.digest, whole.digest, `round ${round}`);
  }
});
