/**
 * Fetching an image's content for several platforms, without unpacking it.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import { type Descriptor, isIndexType, isManifestType, type Platform } from "../../api/oci/image_spec.ts";
import type { ContentStore } from "../content/content_store.ts";
import { normalizePlatform, runsOn } from "../sources/platform.ts";
import type { ImageSource } from "../sources/source.ts";
import { sourceLabels } from "./content_labels.ts";
import { DocumentFetcher } from "./document_fetcher.ts";
import { parseIndex, parseManifest } from "./documents.ts";
import { indexDepthMax } from "./image_view.ts";
import type { ProgressListener } from "./progress.ts";
import { transfer } from "./transfer.ts";

/** Blobs that are fetched at once. */
const blobsAtOnce = 3;

/** Options of {@link fetchContent}. */
export interface FetchOptions {
  /** Platforms whose manifests are fetched; empty for all. */
  readonly platforms: readonly Platform[];
  /** So many manifests of an index at most; 0 for all. */
  readonly manifestLimit: number;
  /** Manifests without a platform, such as attestations, as well. */
  readonly allMetadata: boolean;
  readonly lease: string;
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
}

/**
 * Fetches what is missing of the image's blobs into the store, under the lease, and labels what keeps what alive. Throws
 * the source's failures, `NotFound` where no manifest is for the platforms, `DataLoss` for content that is not what its
 * digest says.
 */
export async function fetchContent(
  content: ContentStore,
  source: ImageSource,
  target: Descriptor,
  options: FetchOptions,
): Promise<void> {
  const fetcher = new DocumentFetcher(content, source, options.lease, options.signal);
  const manifests: Descriptor[] = [];
  await collectManifests(fetcher, target, options, manifests, 0);
  if (manifests.length === 0) {
    throw new Failure("NotFound", `image "${source.name}" has no manifest for the platforms that are wanted`);
  }
  const blobs = new Map<string, Descriptor>();
  for (const { digest } of manifests) {
    const { config, layers } = parseManifest(content.read(digest), digest);
    for (const blob of [config, ...layers]) blobs.set(blob.digest, blob);
  }
  const queue = [...blobs.values()];
  const work = async () => {
    for (let blob = queue.shift(); blob !== undefined; blob = queue.shift()) {
      await fetchBlob(content, source, blob, options);
    }
  };
  await Promise.all(Array.from({ length: blobsAtOnce }, work));
}

async function collectManifests(
  fetcher: DocumentFetcher,
  descriptor: Descriptor,
  options: FetchOptions,
  found: Descriptor[],
  depth: number,
): Promise<void> {
  const { digest, mediaType } = descriptor;
  if (depth > indexDepthMax) {
    throw new Failure("InvalidArgument", `index ${digest} lies in more than ${indexDepthMax} indexes`);
  }
  if (isManifestType(mediaType)) {
    await fetcher.fetch("manifest", descriptor, (bytes) => {
      const { config, layers } = parseManifest(bytes, digest);
      return [config, ...layers];
    });
    found.push(descriptor);
    return;
  }
  if (!isIndexType(mediaType)) {
    throw new Failure("InvalidArgument", `${digest} is of type "${mediaType}": want an image manifest or an index`);
  }
  const wanted = (bytes: Uint8Array) => chosen(parseIndex(bytes, digest).manifests, options);
  const bytes = await fetcher.fetch("index", descriptor, wanted);
  for (const child of wanted(bytes)) await collectManifests(fetcher, child, options, found, depth + 1);
}

/** The children of an index that are wanted. */
function chosen(manifests: readonly Descriptor[], options: FetchOptions): Descriptor[] {
  const { platforms, manifestLimit, allMetadata } = options;
  const fits = ({ platform }: Descriptor) => {
    if (platforms.length === 0) return true;
    // A child index, or an image whose index does not say what it is for.
    if (platform === undefined) return true;
    if (platform.os === "unknown") return allMetadata;
    return platforms.some((machine) => runsOn(normalizePlatform(platform), normalizePlatform(machine)));
  };
  const fitting = manifests.filter(fits);
  return manifestLimit > 0 ? fitting.slice(0, manifestLimit) : fitting;
}

async function fetchBlob(
  content: ContentStore,
  source: ImageSource,
  blob: Descriptor,
  { lease, signal, progress }: FetchOptions,
): Promise<void> {
  const { digest, size } = blob;
  const report = (state: "waiting" | "downloading" | "done" | "exists", offset: number) =>
    progress?.({ kind: "layer", digest, state, offset, total: size });
  report("waiting", 0);
  try {
    using ingest = await content.openIngest(`layer-${digest}`, { expected: digest, size, lease, signal });
    const what = `download ${digest} of ${source.name}`;
    let { offset } = ingest;
    await transfer(source, blob, { offset, signal, what }, async (piece) => {
      await ingest.write(piece);
      offset += piece.length;
      report("downloading", offset);
    });
    try {
      await ingest.commit({ expected: digest, size, labels: sourceLabels(source.distribution, {}) });
    } catch (error) {
      // What is not what it should be is of no use for a next try.
      await ingest.abort();
      throw error;
    }
    report("done", size);
  } catch (error) {
    if (!isFailure(error, "AlreadyExists")) throw error;
    report("exists", size);
  }
}
