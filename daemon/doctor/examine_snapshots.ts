/**
 * Comparing committed snapshots with the layers that they are made of.
 *
 * @module
 */
import { splitDigest } from "../../api/digest.ts";
import { isFailure } from "../../api/errors.ts";
import { isErrno } from "../../ffi/errno.ts";
import { isThere } from "../../ffi/is_there.ts";
import type { BlobFiles } from "../content/blob_files.ts";
import { newHash } from "../content/hash_file.ts";
import { decompressor } from "../diff/decompress.ts";
import { packingOf } from "../diff/media_type.ts";
import { TarReader } from "../diff/tar_reader.ts";
import type { Reader } from "../gc/reader.ts";
import { directoryNumber } from "../snapshots/directory_number.ts";
import type { Discrepancies } from "./discrepancies.ts";
import type { Finding } from "./finding.ts";
import { type KnownLayer, knownLayers } from "./known_layers.ts";
import { LayerComparer } from "./layer_comparer.ts";
import { isUnreadable } from "./unreadable.ts";

/** What {@link examineSnapshots} works with. */
export interface SnapshotsToExamine {
  readonly root: string;
  readonly reader: Reader;
  readonly files: BlobFiles;
  /** Whether a snapshotter keeps its directories elsewhere. */
  readonly hasOtherRoot: (snapshotter: string) => boolean;
  readonly signal: AbortSignal;
}

/** What came out. */
export interface ExaminedSnapshots {
  readonly findings: Finding[];
  /** Committed snapshots of which nobody here can say what should be in them. */
  readonly unchecked: number;
}

/** So many files of a snapshot are named. */
const namedMax = 5;

const readBytes = 256 * 1024;

interface SnapshotRow {
  readonly id: number;
  readonly namespace: string;
  readonly snapshotter: string;
  readonly key: string;
}

/**
 * Looks at every committed snapshot of the snapshotters overlayfs and native whose layers an image names and whose blobs are
 * here. An overlay's directory has its own layer's files, and is compared with that; a native one has all, and is compared
 * with one layer after the other. Rejects with the signal's reason.
 */
export async function examineSnapshots(job: SnapshotsToExamine): Promise<ExaminedSnapshots> {
  const { root, reader, files, signal } = job;
  const layers = await knownLayers(reader, files, signal);
  const rows = reader.all<SnapshotRow>(
    "SELECT id, namespace, snapshotter, key FROM snapshots WHERE kind = 'committed' ORDER BY namespace, snapshotter, id",
  );
  const findings: Finding[] = [];
  let unchecked = 0;
  for (const row of rows) {
    signal.throwIfAborted();
    const { id, namespace, snapshotter, key } = row;
    const stack = job.hasOtherRoot(snapshotter) ? undefined : stackOf(layers, snapshotter, key);
    const place = `${root}/io.containerd.snapshotter.v1.${snapshotter}/snapshots/${directoryNumber(id)}`;
    const problem = stack === undefined ? "unknown" : await compare(place, snapshotter, stack, files, signal);
    // A directory that is gone is told elsewhere, or it was removed meanwhile.
    if (!isThere(place) && problem !== "unknown") continue;
    if (problem === "unknown") unchecked++;
    else if (problem !== undefined) {
      findings.push({
        kind: "damaged snapshot",
        what: `snapshot "${snapshotter}/${key}" in namespace "${namespace}"`,
        problem,
        remedy: "it is forgotten, with the layers that stand on it, so that the next pull unpacks it anew; " +
          "containers on it have to be removed before",
        object: { namespace, kind: "snapshot", key: `${snapshotter}/${key}` },
      });
    }
  }
  return { findings, unchecked };
}

/** The layers whose files a snapshot's directory has, from the base up; undefined where that is not known. */
function stackOf(
  layers: ReadonlyMap<string, KnownLayer>,
  snapshotter: string,
  chainId: string,
): KnownLayer[] | undefined {
  const layer = layers.get(chainId);
  if (layer === undefined || (snapshotter !== "overlayfs" && snapshotter !== "native")) return undefined;
  const stack = [layer];
  if (snapshotter === "overlayfs") return stack;
  for (let { parent } = layer; parent !== undefined;) {
    const below = layers.get(parent);
    if (below === undefined) return undefined;
    stack.unshift(below);
    parent = below.parent;
  }
  return stack;
}

/** A sentence about what is wrong, or nothing; "unknown" where a blob is not here or damaged itself. */
async function compare(
  place: string,
  snapshotter: string,
  stack: readonly KnownLayer[],
  files: BlobFiles,
  signal: AbortSignal,
): Promise<string | undefined> {
  const isOverlay = snapshotter === "overlayfs";
  let comparer: LayerComparer;
  try {
    comparer = new LayerComparer(isOverlay ? `${place}/fs` : place, isOverlay ? "overlay" : "plain");
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return isThere(place) ? "its files are gone" : undefined;
    throw error;
  }
  using _open = comparer;
  for (const layer of stack) {
    if (!await stream(layer, comparer, files, signal)) return "unknown";
    comparer.nextLayer();
  }
  return sentenceAbout(comparer.discrepancies);
}

function sentenceAbout(discrepancies: Discrepancies): string | undefined {
  const { isFull } = discrepancies;
  const { first, count } = discrepancies.list(namedMax);
  if (count === 0) return isFull ? "unknown" : undefined;
  const named = first.map(({ path, problem }) => `${JSON.stringify(path)} ${problem}`).sort();
  if (count > first.length) named.push(`and ${count - first.length} more`);
  const what = count === 1
    ? "a file is not as the image has it"
    : `${isFull ? "at least " : ""}${count} files are not as the image has them`;
  return `${what}: ${named.join(", ")}`;
}

/** Sends a layer's archive through the comparer; false where the blob is not here, or is not the layer. */
async function stream(
  { descriptor: { digest, mediaType }, diffId }: KnownLayer,
  comparer: LayerComparer,
  files: BlobFiles,
  signal: AbortSignal,
): Promise<boolean> {
  const hash = await newHash(splitDigest(digest).algorithm);
  const diffHash = await newHash(splitDigest(diffId).algorithm);
  const reader = new TarReader(comparer);
  let inflate: ReturnType<typeof decompressor> | undefined;
  try {
    using file = await Deno.open(files.path(digest));
    inflate = decompressor(packingOf(mediaType), (bytes) => {
      diffHash.update(bytes);
      reader.push(bytes);
    });
    const buffer = new Uint8Array(readBytes);
    for (let count; (count = await file.read(buffer)) !== null;) {
      signal.throwIfAborted();
      hash.update(buffer.subarray(0, count));
      await inflate.write(buffer.subarray(0, count));
    }
    await inflate.end();
    reader.end();
    return `${splitDigest(digest).algorithm}:${hash.digest("hex")}` === digest &&
      `${splitDigest(diffId).algorithm}:${diffHash.digest("hex")}` === diffId;
  } catch (error) {
    signal.throwIfAborted();
    const isBlobs = error instanceof Deno.errors.NotFound || isUnreadable(error) ||
      isFailure(error, "InvalidArgument") || isFailure(error, "DataLoss") || isFailure(error, "NotImplemented");
    if (!isBlobs) throw error;
    return false;
  } finally {
    inflate?.close();
  }
}
