/**
 * What a run needs to know about an image, in as few reads as possible.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import { Failure, isFailure } from "../../api/errors.ts";
import {
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
  isIndexType,
  isManifestType,
  type Platform,
} from "../../api/oci/image_spec.ts";
import type { ContentStore } from "../content/content_store.ts";
import { chooseManifest } from "../sources/platform.ts";
import { parseConfig, parseIndex, parseManifest } from "./documents.ts";
import type { ImageStore } from "./image_store.ts";

/** How deep indexes may lie in indexes. */
export const indexDepthMax = 4;

/** Key of the label that an unpacked image's config blob has: the chain id of its last layer. */
export function unpackedLabel(snapshotter: string): string {
  return `containerd.io/gc.ref.snapshot.${snapshotter}`;
}

/** An image that is here, for one platform. */
export interface ImageView {
  readonly name: string;
  /** What the name means: manifest or index. */
  readonly target: Descriptor;
  readonly manifestDigest: Digest;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
  /** Whether a container can start: all layers are snapshots. */
  readonly unpacked: boolean;
  /** Key of the committed snapshot of the last layer, if unpacked; an image without layers has none. */
  readonly chainId?: string;
}

/**
 * The image of that name, platform and snapshotter; undefined where the name, its manifest for that platform or its
 * config is not here, so that it has to be pulled.
 *
 * Throws `NotFound` where the image does not exist for the platform, `DataLoss` where a disk has changed what it says.
 */
export async function viewImage(
  store: { readonly images: ImageStore; readonly content: ContentStore },
  name: string,
  options: { readonly platform: Platform; readonly snapshotter: string },
): Promise<ImageView | undefined> {
  const { images, content } = store;
  const image = await images.find(name);
  if (image === undefined) return undefined;
  const { objects } = content;
  try {
    const manifestDescriptor = await resolveManifest(content, image.target, options.platform, name);
    const { digest } = manifestDescriptor;
    const manifest = parseManifest(await content.read(digest), digest);
    const { config: { digest: configDigest }, layers } = manifest;
    const config = parseConfig(await content.read(configDigest), configDigest, layers.length);
    const chainId = await objects.database.read(() =>
      objects.database.get<{ value: string }>(
        // The snapshot is looked at too: somebody may have removed it.
        `SELECT value FROM labels JOIN snapshots s ON s.namespace = labels.namespace AND s.snapshotter = ?
           AND s.key = value AND s.kind = 'committed'
         WHERE labels.namespace = ? AND labels.kind = 'content' AND labels.key = ? AND label = ?`,
        options.snapshotter,
        objects.namespace,
        manifest.config.digest,
        unpackedLabel(options.snapshotter),
      )?.value
    );
    const unpacked = chainId !== undefined || manifest.layers.length === 0;
    const view = { name, target: image.target, manifestDigest: digest, manifest, config, unpacked };
    return chainId === undefined ? view : { ...view, chainId };
  } catch (error) {
    // The index is here, but not the blobs of this platform; or a blob was deleted.
    if (isFailure(error, "NotFound") && error.cause instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function resolveManifest(
  content: ContentStore,
  target: Descriptor,
  platform: Platform,
  name: string,
): Promise<Descriptor> {
  let descriptor = target;
  for (let depth = 0; isIndexType(descriptor.mediaType); depth++) {
    if (depth === indexDepthMax) {
      throw new Failure("InvalidArgument", `image "${name}" has indexes in indexes, more than ${indexDepthMax} deep`);
    }
    const index = parseIndex(await content.read(descriptor.digest), descriptor.digest);
    descriptor = chooseManifest(index, platform, `image "${name}"`);
  }
  if (!isManifestType(descriptor.mediaType)) {
    const message = `image "${name}" is of type "${descriptor.mediaType}": want an image manifest or an index`;
    throw new Failure("InvalidArgument", message);
  }
  return descriptor;
}
