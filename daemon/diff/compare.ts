/**
 * Makes the layer that leads from one list of mounts to another. Runs on a Worker's thread.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type Digest, parseDigest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { truncateFile, writeAt } from "../../ffi/files.ts";
import { enterPrivateMounts, type MountPart, mountTemporary } from "../mounts/perform.ts";
import { layerFailure } from "./apply_failure.ts";
import { type Change, walkBoth } from "./changes.ts";
import { planTrees, type Tree, type TreePlan } from "./compare_trees.ts";
import { compressor, type LayerPacking } from "./compress.ts";
import { LayerWriter } from "./layer_writer.ts";
import { NeedsBothTrees, walkUpper } from "./overlay_changes.ts";

/** One comparison. */
export interface CompareJob {
  readonly lower: readonly MountPart[];
  readonly upper: readonly MountPart[];
  readonly packing: LayerPacking;
  /** An existing file, which is overwritten by the layer. */
  readonly output: string;
  /** A directory to mount below; what is mounted there is this thread's own. */
  readonly mountDirectory: string;
  /** Later times of files become this one, in whole seconds since 1970. */
  readonly mtimeMax?: number;
  /** Whether both trees are walked even where one layer would tell the same. */
  readonly walkBoth?: boolean;
}

/** What came of a comparison. */
export interface CompareResult {
  /** Digest and size of the layer as it is packed. */
  readonly digest: Digest;
  readonly size: number;
  /** Digest and size of the archive inside. */
  readonly diffId: Digest;
  readonly diffSize: number;
}

/**
 * After so many changes, or bytes, the thread looks for messages: an abort must not wait for a large tree or file. The
 * compressor's waits do not let every message in.
 */
const turnChanges = 2_000;
const turnBytes = 8 << 20;

/** Performs a comparison. Rejects with {@link Failure}, `Canceled` once `isAborted` says so. */
export async function compare(job: CompareJob, isAborted: () => boolean): Promise<CompareResult> {
  const plan = planTrees(job.lower, job.upper, job.walkBoth !== true);
  try {
    return await compareBy(plan, job, isAborted);
  } catch (error) {
    if (!(error instanceof NeedsBothTrees)) throw error;
    return await compareBy(planTrees(job.lower, job.upper, false), job, isAborted);
  }
}

async function compareBy(plan: TreePlan, job: CompareJob, isAborted: () => boolean): Promise<CompareResult> {
  if (plan.kind === "upper") {
    return await writeLayer(walkUpper(plan.lowers, plan.upper), plan.upper, job, isAborted);
  }
  const mounting = [plan.lower, plan.upper].some((tree) => tree !== undefined && "mounts" in tree);
  using _own = mounting ? enterPrivateMounts() : undefined;
  const lower = placeOf(plan.lower, `${job.mountDirectory}/lower`);
  const upper = placeOf(plan.upper, `${job.mountDirectory}/upper`) ?? makeDirectory(`${job.mountDirectory}/empty`);
  return await writeLayer(walkBoth(lower, upper), upper, job, isAborted);
}

function makeDirectory(path: string): string {
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

function placeOf(tree: Tree, mountPoint: string): string | undefined {
  if (tree === undefined) return undefined;
  if ("directory" in tree) return tree.directory;
  mountTemporary(tree.mounts, mountPoint);
  return mountPoint;
}

async function writeLayer(
  changes: Iterable<Change>,
  root: string,
  job: CompareJob,
  isAborted: () => boolean,
): Promise<CompareResult> {
  using file = openOutput(job.output);
  const packed = createHash("sha256");
  const archive = createHash("sha256");
  let size = 0;
  let diffSize = 0;
  const pack = compressor(job.packing, (bytes) => {
    try {
      writeAt(file.number, bytes, size);
    } catch (error) {
      throw layerFailure(error, "storing the layer in", job.output);
    }
    packed.update(bytes);
    size += bytes.length;
  });
  try {
    using writer = new LayerWriter(root, async (bytes) => {
      archive.update(bytes);
      const turn = Math.floor(diffSize / turnBytes);
      diffSize += bytes.length;
      await pack.write(bytes);
      if (Math.floor(diffSize / turnBytes) > turn) await takeTurn(isAborted);
    }, { mtimeMax: job.mtimeMax });
    await writeChanges(changes, writer, isAborted);
    await writer.end();
    await pack.end();
  } catch (error) {
    throw layerFailure(error, "comparing", root);
  } finally {
    pack.close();
  }
  const hex = packed.digest("hex");
  return {
    digest: parseDigest(`sha256:${hex}`),
    size,
    diffId: parseDigest(`sha256:${job.packing === "none" ? hex : archive.digest("hex")}`),
    diffSize,
  };
}

async function writeChanges(changes: Iterable<Change>, writer: LayerWriter, isAborted: () => boolean): Promise<void> {
  let count = 0;
  for (const change of changes) {
    await writer.write(change);
    if (++count % turnChanges === 0) await takeTurn(isAborted);
  }
}

async function takeTurn(isAborted: () => boolean): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  if (isAborted()) throw new Failure("Canceled", "comparing: canceled");
}

function openOutput(path: string): ReturnType<typeof openFile> {
  try {
    const file = openFile(path, flags("O_RDWR"));
    truncateFile(file.number, 0);
    return file;
  } catch (error) {
    throw layerFailure(error, "storing the layer in", path);
  }
}
