/**
 * Which layers a store's images say that its snapshots are made of.
 *
 * @module
 */
import { type Digest, splitDigest } from "../../api/digest.ts";
import { type Descriptor, isIndexType, isManifestType } from "../../api/oci/image_spec.ts";
import type { BlobFiles } from "../content/blob_files.ts";
import type { Reader } from "../gc/reader.ts";
import { chainIds } from "../images/chain_id.ts";
import { documentBytesMax, parseConfig, parseIndex, parseManifest } from "../images/documents.ts";
import { indexDepthMax } from "../images/image_view.ts";
import { digestOf } from "../sources/digest_of.ts";

/** The uppermost layer of a stack. */
export interface KnownLayer {
  readonly descriptor: Pick<Descriptor, "digest" | "mediaType">;
  readonly diffId: Digest;
  /** Chain id of what lies below it. */
  readonly parent: Digest | undefined;
}

/** Chain id → layer, of all images of all namespaces whose documents are here and whole. */
export async function knownLayers(
  reader: Reader,
  files: BlobFiles,
  signal: AbortSignal,
): Promise<Map<string, KnownLayer>> {
  const known = new Map<string, KnownLayer>();
  const seen = new Set<string>();
  const pending = reader.all<{ digest: Digest; mediaType: string }>(
    "SELECT DISTINCT digest, media_type AS mediaType FROM images",
  ).map(({ digest, mediaType }) => ({ digest, mediaType, depth: 0 }));
  for (let next; (next = pending.pop()) !== undefined;) {
    signal.throwIfAborted();
    const { digest, mediaType, depth } = next;
    if (seen.has(digest)) continue;
    seen.add(digest);
    try {
      if (isManifestType(mediaType)) await addLayers(known, files, digest);
      if (!isIndexType(mediaType) || depth === indexDepthMax) continue;
      const bytes = await readDocument(files, digest);
      if (bytes === undefined) continue;
      for (const below of parseIndex(bytes, digest).manifests) pending.push({ ...below, depth: depth + 1 });
    } catch {
      // No image that could be unpacked, whatever it is: nothing is known by it.
    }
  }
  return known;
}

async function addLayers(known: Map<string, KnownLayer>, files: BlobFiles, digest: Digest): Promise<void> {
  const bytes = await readDocument(files, digest);
  if (bytes === undefined) return;
  const { config, layers } = parseManifest(bytes, digest);
  const configBytes = await readDocument(files, config.digest);
  if (configBytes === undefined) return;
  const diffIds = parseConfig(configBytes, config.digest, layers.length).rootfs.diff_ids;
  const chain = await chainIds(diffIds);
  for (const [index, { digest, mediaType }] of layers.entries()) {
    const old = known.get(chain[index]!);
    // The same files may come in several blobs: one that is here is of more use.
    if (old !== undefined && files.size(old.descriptor.digest) !== undefined) continue;
    known.set(chain[index]!, {
      descriptor: { digest, mediaType },
      diffId: diffIds[index]!,
      parent: chain[index - 1],
    });
  }
}

/** The bytes of a document; undefined where it is not here, or not as its digest says, which is told elsewhere. */
async function readDocument(files: BlobFiles, digest: Digest): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const size = files.size(digest);
  if (size === undefined || size > documentBytesMax) return undefined;
  const bytes = await Deno.readFile(files.path(digest));
  return await digestOf(bytes, splitDigest(digest).algorithm) === digest ? bytes : undefined;
}
