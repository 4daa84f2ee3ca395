/**
 * Rows: pull and unpack of a 250 MB image from a registry on loopback, against `ctr image pull`.
 *
 * @module
 */
import { startRegistry } from "../tests/registry.ts";
import { type BenchScratch, isInstalled } from "./bench_scratch.ts";
import { containerdPrograms, startContainerd } from "./containerd.ts";
import { writeLargeImage } from "./large_image.ts";
import { type Amount, inTurns, outputOf, type Row } from "./measure.ts";
import { timeAndPeak } from "./peak_memory.ts";

/** Measures time and peak memory, with the roots in memory and on disk. */
export async function pullRows(scratch: BenchScratch, barge: readonly string[], amount: Amount): Promise<Row[]> {
  const size = amount.quick ? 60 : 250;
  const work = `pull and unpack of ${size} MB in 3 layers`;
  const missing = [...containerdPrograms, "umoci", "skopeo", "docker-registry", "busybox"].filter((program) =>
    !isInstalled(program)
  );
  if (missing.length > 0) return [{ kind: "skipped", work, reason: `no ${missing.join(", ")}` }];
  const layout = `${scratch.path}/large`;
  await writeLargeImage(layout, scratch.path, size * 1e6 / 3);
  await using registry = await startRegistry();
  await registry.push(`oci:${layout}:latest`, "large:latest");
  await Deno.remove(layout, { recursive: true });
  const image = `${registry.host}/large:latest`;
  const rows: Row[] = [];
  for (const place of ["memory", "disk"] as const) {
    const root = place === "memory" ? await scratch.memory("pull-memory") : await scratch.directory("pull-disk");
    rows.push(
      ...await measure(image, root, scratch, barge, {
        work: `${work}, roots ${place === "memory" ? "on tmpfs" : "on disk"}`,
        rounds: amount.quick || place === "disk" ? 3 : 7,
      }),
    );
  }
  return rows;
}

async function measure(
  image: string,
  root: string,
  scratch: BenchScratch,
  barge: readonly string[],
  options: { work: string; rounds: number },
): Promise<Row[]> {
  const state = await Deno.makeTempDir({ dir: scratch.path, prefix: "c" });
  await using containerd = await startContainerd(root, state);
  const bargePeaks: number[] = [];
  const peerPeaks: number[] = [];
  const places = ["--root", `${root}/barge`, "--state", `${scratch.path}/pull-state`];
  const [bargeTimes, peerTimes] = await inTurns(options.rounds, [
    async () => {
      const { timeMs, peakMb } = await timeAndPeak(
        [...barge, "run", "--quiet", "--plain-http", ...places, image, "/part-2/true"],
      );
      bargePeaks.push(peakMb);
      await Deno.remove(`${root}/barge`, { recursive: true });
      // What one side leaves to be written is not to be the other's burden.
      await outputOf(["sync"]);
      return timeMs;
    },
    async () => {
      const { timeMs, peakMb } = await timeAndPeak(
        containerd.ctr("images", "pull", "--plain-http", image),
        [containerd.process.pid],
      );
      peerPeaks.push(peakMb);
      await containerd.forget(image);
      await outputOf(["sync"]);
      return timeMs;
    },
  ]);
  const peer = "`ctr image pull`, containerd up";
  return [
    {
      kind: "measured",
      work: options.work,
      peer,
      unit: "ms",
      bargeTimes: bargeTimes!,
      peerTimes: peerTimes!,
      ratioMax: 1,
    },
    {
      kind: "measured",
      work: `${options.work}: peak memory`,
      peer: `${peer}, both processes`,
      unit: "MB",
      bargeTimes: bargePeaks,
      peerTimes: peerPeaks,
      // No promise, but what it costs is to be seen.
      ratioMax: Infinity,
    },
  ];
}
