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
import type { BlobProgress, ProgressListener } from "./progress.ts";
import { isConfigType, refKey } from "./ref_key.ts";
import { transfer } from "./transfer.ts";

/** Blobs that are fetched at once, unless the options say otherwise. */
const blobsAtOnce = 3;

/** Options of {@link fetchContent}. */
export interface FetchOptions {
  /** Platforms whose manifests are fetched; empty for all. */
  readonly platforms: readonly Platform[];
  /** So many manifests of an index at most; 0 for all. */
  readonly manifestLimit: number;
  /** The manifests and configs of all other platforms, and attestations, as well; their layers are not. */
  readonly allMetadata: boolean;
  readonly lease: string;
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
  /** Blobs that are fetched at once. Default: 3. */
  readonly atOnce?: number;
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
  const { lease, signal, progress = () => {} } = options;
  const fetcher = new DocumentFetcher(content, source, lease, signal, progress);
  const found: Found = { blobs: new Map(), manifests: 0 };
  await collectBlobs({ fetcher, options, found, progress }, target, 0);
  if (found.manifests === 0) {
    throw new Failure("NotFound", `image "${source.name}" has no manifest for the platforms that are wanted`);
  }
  const queue = [...found.blobs.values()];
  const work = async () => {
    for (let blob = queue.shift(); blob !== undefined; blob = queue.shift()) {
      await fetchBlob(content, source, blob, options);
    }
  };
  await Promise.all(Array.from({ length: options.atOnce ?? blobsAtOnce }, work));
}

/** What the documents of an image say. */
interface Found {
  /** By digest. */
  readonly blobs: Map<string, Descriptor>;
  /** For the platforms that are wanted. */
  manifests: number;
}

interface Walk {
  readonly fetcher: DocumentFetcher;
  readonly options: FetchOptions;
  readonly found: Found;
  readonly progress: ProgressListener;
}

async function collectBlobs(walk: Walk, descriptor: Descriptor, depth: number): Promise<void> {
  const { fetcher, options, found, progress } = walk;
  const { digest, mediaType } = descriptor;
  if (depth > indexDepthMax) {
    throw new Failure("InvalidArgument", `index ${digest} lies in more than ${indexDepthMax} indexes`);
  }
  if (isManifestType(mediaType)) {
    const blobs = (bytes: Uint8Array) => {
      const { config, layers } = parseManifest(bytes, digest);
      return [config, ...layers];
    };
    const all = blobs(await fetcher.fetch("manifest", descriptor, blobs));
    const isWanted = isFor(descriptor, options.platforms) !== undefined;
    if (isWanted) found.manifests++;
    const children = isWanted ? all : all.filter((blob) => isConfigType(blob.mediaType));
    progress({ kind: "tree", parent: descriptor, children });
    for (const blob of children) found.blobs.set(blob.digest, blob);
    return;
  }
  if (!isIndexType(mediaType)) {
    throw new Failure("InvalidArgument", `${digest} is of type "${mediaType}": want an image manifest or an index`);
  }
  const manifests = (bytes: Uint8Array) => parseIndex(bytes, digest).manifests;
  const children = chosen(manifests(await fetcher.fetch("index", descriptor, manifests)), options);
  progress({ kind: "tree", parent: descriptor, children });
  for (const child of children) await collectBlobs(walk, child, depth + 1);
}

/**
 * The place among the wanted platforms of the first that the manifest is for; undefined where it is for none. A child
 * index, or an image whose index does not say what it is for, is for all.
 */
function isFor({ platform }: Descriptor, wanted: readonly Platform[]): number | undefined {
  if (wanted.length === 0 || platform === undefined) return 0;
  const place = wanted.findIndex((machine) => runsOn(normalizePlatform(platform), normalizePlatform(machine)));
  return place === -1 ? undefined : place;
}

/** The children of an index that are looked at, and with a limit the ones that are wanted most. */
function chosen(manifests: readonly Descriptor[], options: FetchOptions): Descriptor[] {
  const { platforms, manifestLimit, allMetadata } = options;
  const ranked = manifests.map((manifest) => ({ manifest, place: isFor(manifest, platforms) }));
  const fitting = ranked.filter(({ place }) => allMetadata || place !== undefined);
  if (manifestLimit > 0) {
    const last = platforms.length;
    fitting.sort((a, b) => (a.place ?? last) - (b.place ?? last)).splice(manifestLimit);
  }
  return fitting.map(({ manifest }) => manifest);
}

async function fetchBlob(
  content: ContentStore,
  source: ImageSource,
  blob: Descriptor,
  { lease, signal, progress }: FetchOptions,
): Promise<void> {
  const { digest, size } = blob;
  const report = (state: BlobProgress["state"], offset: number) =>
    progress?.({ kind: "blob", descriptor: blob, state, offset });
  report("waiting", 0);
  try {
    using ingest = await content.openIngest(refKey(blob), { expected: digest, size, lease, signal });
    const what = `download ${digest} of ${source.name}`;
    let { offset } = ingest;
    await transfer(source, blob, { offset, signal, what }, async (piece) => {
      await ingest.write(piece);
      offset += piece.length;
      report("downloading", offset);
    });
    try {
      const labels = sourceLabels(source.distribution, {});
      const { published } = await ingest.publish({ expected: digest, size, labels });
      if (published === "created") progress?.({ kind: "stored", digest, size });
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
