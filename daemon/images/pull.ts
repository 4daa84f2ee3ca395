/**
 * Pulling: making an image of a source one of the store, ready to run.
 *
 * @module
 */
import { Failure, originalOf } from "../../api/errors.ts";
import { type Descriptor, isIndexType, isManifestType, type Platform } from "../../api/oci/image_spec.ts";
import type { LeaseStore } from "../leases/lease_store.ts";
import type { ContentStore } from "../content/content_store.ts";
import type { DirectorySnapshotter } from "../snapshots/directory_snapshotter.ts";
import { chooseManifest, formatPlatform, runsOn } from "../sources/platform.ts";
import type { ImageSource } from "../sources/source.ts";
import { DocumentFetcher } from "./document_fetcher.ts";
import { parseConfig, parseIndex, parseManifest } from "./documents.ts";
import type { ImageStore } from "./image_store.ts";
import { type ImageView, indexDepthMax, unpackedLabel } from "./image_view.ts";
import type { ProgressListener } from "./progress.ts";
import { unpackLayers } from "./unpack.ts";

/** The parts of a store that a pull fills. */
export interface PullStore {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly leases: LeaseStore;
  snapshotter(name: string): DirectorySnapshotter;
}

/** Options of {@link pull}. */
export interface PullOptions {
  readonly platform: Platform;
  /** Where it is unpacked. */
  readonly snapshotter: string;
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
  /** Layers that are fetched and unpacked at once. Default: 3. */
  readonly atOnce?: number;
}

/**
 * Fetches what is missing of the image for one platform, unpacks it, and gives it its name. What is here already is not
 * fetched again; an interrupted download goes on where it stopped. Any number of pulls may run at once, in any number of
 * processes: what one is doing already, the others wait for.
 *
 * Throws the source's failures; `NotFound` where the image does not exist for the platform; `DataLoss` where content
 * is not what its digest says; `FailedPrecondition` for a wrong diff id; `InvalidArgument` for malformed documents;
 * `ResourceExhausted` where the disk is full. The image's name is then as before, and nothing but complete blobs and layers
 * (garbage, if nothing else uses them) and resumable downloads was added.
 */
export async function pull(store: PullStore, source: ImageSource, options: PullOptions): Promise<ImageView> {
  try {
    return await pullUnderLease(store, source, options);
  } catch (error) {
    throw originalOf(error);
  }
}

async function pullUnderLease(store: PullStore, source: ImageSource, options: PullOptions): Promise<ImageView> {
  await using lease = await store.leases.own("pull");
  const target = await source.resolve(options.signal);
  options.progress?.({ kind: "resolved", name: source.name, digest: target.digest });
  const view = await fetchAndUnpack(store, source, target, { ...options, lease: lease.id });
  await store.images.put(source.name, target);
  return view;
}

/**
 * As {@link pull}, for a root that is known already, and without giving the image its name: that is to be done while
 * the lease lives.
 */
export async function fetchAndUnpack(
  store: Omit<PullStore, "images" | "leases">,
  source: ImageSource,
  target: Descriptor,
  options: PullOptions & { readonly lease: string },
): Promise<ImageView> {
  const { signal, platform, lease } = options;
  const snapshotter = store.snapshotter(options.snapshotter);
  const fetcher = new DocumentFetcher(store.content, source, lease, signal, options.progress);
  const { descriptor, manifest } = await fetchManifest(fetcher, target, source.name, options);
  const { config: configDescriptor, layers } = manifest;
  const config = parseConfig(await fetcher.fetch("config", configDescriptor), configDescriptor.digest, layers.length);
  // An index said it before; a manifest alone does not.
  if (config.architecture !== "" && !runsOn(config, platform)) {
    const [is, wanted] = [formatPlatform(config), formatPlatform(platform)];
    throw new Failure("NotFound", `image "${source.name}" is for ${is} only, and ${wanted} is wanted: see --platform`);
  }
  const chainId = await unpackLayers({
    content: store.content,
    snapshotter,
    source,
    layers,
    diffIds: config.rootfs.diff_ids,
    lease,
    signal,
    progress: options.progress,
    ...(options.atOnce === undefined ? {} : { atOnce: options.atOnce }),
  });
  if (chainId !== undefined) {
    await store.content.addLabels(configDescriptor.digest, { [unpackedLabel(snapshotter.name)]: chainId });
  }
  const view = { name: source.name, target, manifestDigest: descriptor.digest, manifest, config, unpacked: true };
  return chainId === undefined ? view : { ...view, chainId };
}

async function fetchManifest(
  fetcher: DocumentFetcher,
  target: Descriptor,
  name: string,
  { platform, progress = () => {} }: Pick<PullOptions, "platform" | "progress">,
) {
  let descriptor = target;
  for (let depth = 0; isIndexType(descriptor.mediaType); depth++) {
    if (depth === indexDepthMax) {
      throw new Failure("InvalidArgument", `image "${name}" has indexes in indexes, more than ${indexDepthMax} deep`);
    }
    const { digest } = descriptor;
    const children = (bytes: Uint8Array) => parseIndex(bytes, digest).manifests;
    const index = parseIndex(await fetcher.fetch("index", descriptor, children), digest);
    const parent = descriptor;
    descriptor = chooseManifest(index, platform, `image "${name}"`);
    progress({ kind: "tree", parent, children: [descriptor] });
  }
  if (!isManifestType(descriptor.mediaType)) {
    const message = `image "${name}" is of type "${descriptor.mediaType}": want an image manifest or an index`;
    throw new Failure("InvalidArgument", message);
  }
  const { digest } = descriptor;
  const children = (bytes: Uint8Array) => {
    const { config, layers } = parseManifest(bytes, digest);
    return [config, ...layers];
  };
  const manifest = parseManifest(await fetcher.fetch("manifest", descriptor, children), digest);
  progress({ kind: "tree", parent: descriptor, children: [manifest.config, ...manifest.layers] });
  return { descriptor, manifest };
}
