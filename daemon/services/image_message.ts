/**
 * Images between the API's messages and the store, and the rules for what they may be.
 *
 * @module
 */
import type { Timestamp } from "../../api/gen/google/protobuf/timestamp.ts";
import { Image } from "../../api/gen/services/images/v1/images.ts";
import { Descriptor } from "../../api/gen/types/descriptor.ts";
import { type Digest, isDigest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import { msOfTime, wireTime } from "../../api/timestamp.ts";
import type { FieldReader } from "../filters/compile.ts";
import type { ImageInfo } from "../images/image_store.ts";
import { checkLabels } from "../metadata/label_refs.ts";
import { labelPaths, type MaskTable, withLabel } from "./field_mask.ts";
import { mapField } from "./list_filter.ts";
import { storedLabels } from "./stored_labels.ts";

/** An image's message whose target is there. */
export type CompleteImage = Image & { readonly target: Descriptor };

/** What an Update may take over. The target goes as a whole, only its annotations one by one. */
export const imageMask: MaskTable<CompleteImage> = {
  fields: {
    ...labelPaths.fields,
    target: (stored, { target }) => ({ ...stored, target }),
    annotations: (stored, { target: { annotations } }) => ({ ...stored, target: { ...stored.target, annotations } }),
  },
  entries: {
    ...labelPaths.entries,
    annotations: (stored, { target }, key) => ({
      ...stored,
      target: { ...stored.target, annotations: withLabel(stored.target.annotations, target.annotations, key) },
    }),
  },
  place: ({ name }) => ` on image "${name}"`,
};

/** A stored image's fields for filters. */
export function imageFields({ name, target, labels }: ImageInfo): FieldReader {
  return (path) => {
    switch (path[0]) {
      case "name":
        return name;
      case "target":
        return path[1] === "digest" ? target.digest : path[1] === "mediatype" ? target.mediaType : undefined;
      case "labels":
        return mapField(labels, path);
      case "annotations":
        return mapField(target.annotations ?? {}, path);
      default:
        return undefined;
    }
  };
}

/** The image of a request. What is absent in it is empty. */
export function completeImage(image: Image | undefined): CompleteImage {
  const given = image ?? Image.create();
  return { ...given, target: given.target ?? Descriptor.create() };
}

/** Throws `InvalidArgument` where the store would not take the image, in containerd's words and order. */
export function checkImage({ labels, target }: CompleteImage): void {
  checkLabels(labels, "image.Labels: ");
  const refuse = (text: string) => new Failure("InvalidArgument", text);
  const problem = digestProblem(target.digest);
  if (problem !== undefined) throw refuse(`target.Digest "${target.digest}" invalid: ${problem}`);
  if (target.size <= 0) throw refuse("target.Size must be greater than zero");
  if (target.mediaType === "") throw refuse("target.MediaType must be set");
}

/** What is wrong with a digest, in the words of containerd's library; undefined where nothing is. */
export function digestProblem(text: string): string | undefined {
  if (isDigest(text)) return undefined;
  const [, algorithm, hex] = /^([a-z0-9]+(?:[.+_-][a-z0-9]+)*):([0-9a-fA-F]+)$/.exec(text) ?? [];
  if (algorithm === undefined || hex === undefined) return "invalid checksum digest format";
  if (!["sha256", "sha384", "sha512"].includes(algorithm)) return "unsupported digest algorithm";
  return /[A-F]/.test(hex) && isDigest(text.toLowerCase())
    ? "invalid checksum digest format"
    : "invalid checksum digest length";
}

/** What the store keeps of a message that {@link checkImage} let pass. */
export function imageBody({ name, target, labels }: CompleteImage): Pick<ImageInfo, "name" | "target" | "labels"> {
  const { mediaType, size } = target;
  // Empty ones are none, as with labels.
  const annotations = storedLabels(target.annotations);
  return {
    name,
    target: {
      mediaType,
      // checkImage() has looked at it.
      digest: target.digest as Digest,
      size,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
    labels: storedLabels(labels),
  };
}

/** A stored image as a message. */
export function imageMessage({ name, target, created, updated, labels }: ImageInfo): CompleteImage {
  const { mediaType, digest, size, annotations = {} } = target;
  return {
    name,
    labels,
    target: { mediaType, digest, size, annotations },
    createdAt: wireTime(created),
    updatedAt: wireTime(updated),
  };
}

/** Years 1 to 9999, as `google.protobuf.Timestamp` has them. */
const timeMsMin = -62_135_596_800_000;
const timeMsEnd = 253_402_300_800_000;

/** The time that a request wants to be the image's, in milliseconds since 1970; else now. */
export function epochOr(now: number, epoch: Timestamp | undefined): number {
  if (epoch === undefined) return now;
  const ms = msOfTime(epoch);
  if (ms < timeMsMin || ms >= timeMsEnd) {
    throw new Failure("InvalidArgument", `source date epoch of ${epoch.seconds} s is not between the years 1 and 9999`);
  }
  return ms;
}
