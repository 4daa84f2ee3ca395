/**
 * Row: `barge run --rm IMAGE true` without a daemon against `ctr run --rm` with containerd up.
 *
 * @module
 */
import { startRegistry, tarOf, writeLayout } from "../tests/registry.ts";
import { type BenchScratch, isInstalled, makeBenchBundle } from "./bench_scratch.ts";
import { containerdPrograms, startContainerd } from "./containerd.ts";
import { type Amount, inTurns, outputOf, type Row, timeOf } from "./measure.ts";

const work = "`barge run --rm IMAGE true`, image unpacked, no daemon";

/** Measures it. */
export async function imageRunRow(scratch: BenchScratch, barge: readonly string[], amount: Amount): Promise<Row> {
  const missing = [...containerdPrograms, "busybox", "docker-registry", "skopeo"].filter((name) => !isInstalled(name));
  if (missing.length > 0) return { kind: "skipped", work, reason: `no ${missing.join(", ")}` };
  const bundle = `${scratch.path}/image-run`;
  await makeBenchBundle(bundle, barge);
  const architecture = Deno.build.arch === "x86_64" ? "amd64" : "arm64";
  await writeLayout(`${scratch.path}/layout`, [await tarOf(`${bundle}/rootfs`)], {
    architectures: [architecture],
    run: { Env: ["PATH=/bin"], Cmd: ["sh"] },
  });
  await using registry = await startRegistry();
  await registry.push(`oci:${scratch.path}/layout:latest`, "busybox:latest");
  const image = `${registry.host}/busybox:latest`;
  await using containerd = await startContainerd(
    await scratch.directory("run-containerd"),
    await scratch.directory("run-c"),
  );
  await outputOf(containerd.ctr("images", "pull", "--plain-http", image));
  const places = ["--root", `${scratch.path}/run-root`, "--state", `${scratch.path}/run-state`];
  let count = 0;
  const [bargeTimes, peerTimes] = await inTurns(amount.quick ? 10 : 50, [
    () => timeOf([...barge, "run", "--rm", "--plain-http", ...places, image, "true"]),
    () => timeOf(containerd.ctr("run", "--rm", image, `bench-${count++}`, "true")),
  ]);
  await containerd.forget(image);
  return {
    kind: "measured",
    work,
    peer: "`ctr run --rm`, containerd up",
    unit: "ms",
    bargeTimes: bargeTimes!,
    peerTimes: peerTimes!,
    ratioMax: 1,
  };
}
