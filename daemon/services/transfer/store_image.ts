/**
 * Giving an image of a transfer its names.
 *
 * @module
 */
import { Failure, isFailure } from "../../../api/errors.ts";
import type { CreateImageRequest, Image, UpdateImageRequest } from "../../../api/gen/services/images/v1/images.ts";
import type { ImageStore } from "../../../api/gen/types/transfer/imagestore.ts";
import type { Descriptor } from "../../../api/oci/image_spec.ts";
import type { ProgressStream } from "./progress_stream.ts";

/** The image service as a transfer uses it: in the namespace and under the lease of the transfer. */
export interface StoredImages {
  create(request: CreateImageRequest): Promise<unknown>;
  update(request: UpdateImageRequest): Promise<unknown>;
}

interface Naming {
  readonly images: StoredImages;
  readonly progress: ProgressStream;
}

/** Names the target, and as the destination's extra references say; a name that exists is given to it. */
export async function storeImage(
  { labels, extraReferences }: ImageStore,
  name: string,
  target: Descriptor,
  { images, progress }: Naming,
): Promise<void> {
  if (name === "") throw new Failure("InvalidArgument", "transfer: the image needs a name");
  await put(images, imageOf(name, target, labels), true);
  progress.tell("saved", name, target);
  for (const { name: extra, isPrefix, allowOverwrite, addDigest } of extraReferences) {
    // A prefix names what an archive has without a full name; a pulled image has one.
    if (isPrefix && !addDigest) continue;
    const full = addDigest ? `${extra}@${target.digest}` : extra;
    // It goes when the name that it stands beside goes.
    const bound = {
      ...labels,
      "containerd.io/gc.bref.image": name,
      "containerd.io/gc.expire": new Date().toISOString(),
    };
    await put(images, imageOf(full, target, bound), allowOverwrite);
    progress.tell("saved", full, target);
  }
}

function imageOf(name: string, { mediaType, digest, size, annotations }: Descriptor, labels: Image["labels"]): Image {
  const target = { mediaType, digest, size, annotations: annotations ?? {} };
  return { name, labels, target, createdAt: undefined, updatedAt: undefined };
}

async function put(images: StoredImages, image: Image, overwrite: boolean): Promise<void> {
  try {
    await images.create({ image, sourceDateEpoch: undefined });
  } catch (error) {
    if (!isFailure(error, "AlreadyExists")) throw error;
    if (overwrite) await images.update({ image, updateMask: undefined, sourceDateEpoch: undefined });
  }
}
