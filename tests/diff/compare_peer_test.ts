import { deepEqual, equal, ok } from "node:assert/strict";
import { type Containerd, containerdPrograms, startContainerd } from "../../bench/containerd.ts";
import { type CompareJob, type CompareResult } from "../../daemon/diff/compare.ts";
import { Differ } from "../../daemon/diff/differ.ts";
import { JobWorker, workerUrl } from "../../daemon/diff/job_worker.ts";
import { blockSize } from "../../daemon/diff/tar_header.ts";
import { systemTest } from "../command.ts";
import { makeScratch, type Scratch } from "../scratch.ts";
import { baseScript, makeSnapshot, mountsOf, secondScript, snapshotPrograms, thirdScript } from "./snapshots.ts";

const plain = "application/vnd.oci.image.layer.v1.tar";

/** The archive's headers and bodies; times of whiteouts, which containerd 1.6 sets to now, are taken out. */
function comparable(archive: Uint8Array): string[] {
  const entries: string[] = [];
  const text = (at: number, length: number) => {
    const bytes = archive.subarray(at, at + length);
    const end = bytes.indexOf(0);
    return Array.from(end === -1 ? bytes : bytes.subarray(0, end), (byte) => String.fromCharCode(byte)).join("");
  };
  for (let at = 0; at < archive.length;) {
    const size = parseInt(text(at + 124, 12) || "0", 8);
    const body = Math.ceil(size / blockSize) * blockSize;
    const header = archive.slice(at, at + blockSize);
    if (text(at, 100).split("/").pop()!.startsWith(".wh.")) {
      header.fill(0, 136, 156);
    }
    const whole = new Uint8Array([
      ...header,
      ...archive.subarray(at + blockSize, at + blockSize + Math.min(body, 2048)),
    ]);
    entries.push(
      `${text(at, 100)} ${String.fromCharCode(archive[at + 156]!)} ${size} ${whole.toHex()}`,
    );
    at += blockSize + body;
  }
  return entries;
}

async function outputOf(command: string[]): Promise<Uint8Array> {
  const [program, ...args] = command;
  const { success, stdout, stderr } = await new Deno.Command(program!, { args }).output();
  ok(success, new TextDecoder().decode(stderr));
  return stdout;
}

async function ours(scratch: Scratch, job: Pick<CompareJob, "lower" | "upper" | "walkBoth">): Promise<{
  archive: Uint8Array;
  result: CompareResult;
}> {
  const worker = new URL("../../daemon/diff/", import.meta.url);
  using thread = new JobWorker<CompareJob, CompareResult>(
    workerUrl(worker.href + "x.ts", "compare_worker_main"),
    "test",
  );
  const output = `${scratch.path}/layer-${crypto.randomUUID()}`;
  await Deno.writeFile(output, new Uint8Array());
  const mountDirectory = `${scratch.path}/tmpmounts`;
  const result = await thread.run({ ...job, packing: "none", output, mountDirectory }, AbortSignal.timeout(30_000));
  const archive = await Deno.readFile(output);
  equal(result.size, archive.length);
  equal(result.diffId, result.digest);
  return { archive, result };
}

async function compareWithStock(scratch: Scratch, containerd: Containerd, snapshotter: string): Promise<void> {
  await Deno.mkdir(`${scratch.path}/mnt`, { recursive: true });
  const make = (snapshot: Parameters<typeof makeSnapshot>[2]) =>
    makeSnapshot(containerd, snapshotter, snapshot, `${scratch.path}/mnt`);
  await make({ key: "k1", parent: "", script: baseScript, commit: "c1" });
  await make({ key: "k2", parent: "c1", script: secondScript, commit: "c2" });
  await make({ key: "k3", parent: "c2", script: thirdScript });
  await make({ key: "k4", parent: "c1", script: thirdScript });
  const ctr = (...args: string[]) => containerd.ctr("snapshots", "--snapshotter", snapshotter, ...args);
  for (const name of ["c1", "c2"]) {
    await outputOf(ctr("view", `v-${name}`, name));
    await outputOf(ctr("label", `v-${name}`, "containerd.io/gc.root=test"));
  }
  await outputOf(ctr("prepare", "k5", "c2"));
  const pairs = [["c2", "k3"], ["c1", "k4"], ["c1", "c2"], ["c2", "c1"], ["c2", "k5"]] as const;
  const mounts = async (name: string) =>
    await mountsOf(containerd, snapshotter, name.startsWith("c") ? `v-${name}` : name);
  for (const [lower, upper] of pairs) {
    const stock = await outputOf(ctr("diff", "--media-type", plain, lower, upper));
    const job = { lower: await mounts(lower), upper: await mounts(upper) };
    const walked = await ours(scratch, { ...job, walkBoth: true });
    deepEqual(comparable(walked.archive), comparable(stock), `${snapshotter}: ${lower} to ${upper}`);
    const quick = await ours(scratch, job);
    equal(quick.result.digest, walked.result.digest, `${snapshotter}: ${lower} to ${upper}: the short cut`);
  }
}

/** The layer that leads to a snapshot, applied to another one on the same parent, must give the same tree. */
async function applyLayer(scratch: Scratch, containerd: Containerd, snapshotter: string): Promise<void> {
  const ctr = (...args: string[]) => containerd.ctr("snapshots", "--snapshotter", snapshotter, ...args);
  await outputOf(ctr("prepare", "k6", "c2"));
  const mounts = async (name: string) => await mountsOf(containerd, snapshotter, name);
  const changed = await mounts("k3");
  const applied = await mounts("k6");
  const layer = await ours(scratch, { lower: await mounts("v-c2"), upper: changed });
  const blob = `${scratch.path}/blob`;
  await Deno.writeFile(blob, layer.archive);
  using differ = new Differ({ mountDirectory: `${scratch.path}/tmpmounts` });
  const { digest } = layer.result;
  const job = { mediaType: plain, digest, blob, mounts: applied, sync: true, payloads: new Map() };
  const { diffId, diffSize } = await differ.apply(job, AbortSignal.timeout(30_000));
  equal(diffId, digest);
  equal(diffSize, layer.archive.length);
  const want = await ours(scratch, { lower: [], upper: changed });
  const have = await ours(scratch, { lower: [], upper: applied });
  // Times before 1970 and after 2262 become 1970, as in containerd.
  const entries = (archive: Uint8Array) =>
    comparable(archive).filter((entry) => !/^(?:PaxHeaders.0\/)?(?:old|future) /.test(entry));
  deepEqual(entries(have.archive), entries(want.archive));
}

for (const snapshotter of ["overlayfs", "native"]) {
  systemTest(
    `compare() gives the bytes of containerd's layers on ${snapshotter}, and Differ.apply() the tree again`,
    [...containerdPrograms, ...snapshotPrograms],
    async () => {
      await using scratch = await makeScratch();
      await using containerd = await startContainerd(scratch.path, scratch.path);
      await compareWithStock(scratch, containerd, snapshotter);
      await applyLayer(scratch, containerd, snapshotter);
      deepEqual(scratch.mounts(), [], "nothing stays mounted");
    },
  );
}
