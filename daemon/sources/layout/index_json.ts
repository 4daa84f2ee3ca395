/**
 * `index.json` of an OCI layout: which of its images is meant.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { type Descriptor, isIndexType, isManifestType, mediaTypes } from "../../../api/oci/image_spec.ts";
import { isDescriptor } from "../descriptor_shape.ts";
import { fullName, localName } from "../local_name.ts";

const imageNameAnnotation = "io.containerd.image.name";
const refNameAnnotation = "org.opencontainers.image.ref.name";

/** The image that was chosen. */
export interface Choice {
  /** Full name to record. */
  readonly name: string;
  /** One entry: the root. Several: the platforms of one image, to be joined by an index. */
  readonly entries: readonly Descriptor[];
}

/**
 * The entries of `index.json` that are images. Throws `InvalidArgument` for what is no index; an entry that is no
 * descriptor is an error, one of another kind (a signature, an artifact) is left out.
 */
export function readEntries(index: unknown, place: string): Descriptor[] {
  const manifests = typeof index === "object" && index !== null && "manifests" in index ? index.manifests : undefined;
  if (!Array.isArray(manifests)) {
    throw new Failure("InvalidArgument", `index.json in ${place} has no list of manifests`);
  }
  return manifests.filter((entry: unknown) => {
    if (!isDescriptor(entry)) {
      throw new Failure(
        "InvalidArgument",
        `index.json in ${place} has an entry that is no descriptor: want mediaType, digest and size`,
      );
    }
    return isIndexType(entry.mediaType) || isManifestType(entry.mediaType);
  });
}

/**
 * The image called `wanted` (a tag, or a full name), or the only one there is. Entries for several platforms
 * under one name are one image. Throws `NotFound` that lists what there is; `path` is the file or directory as
 * the user wrote it.
 */
export function chooseEntries(
  entries: readonly Descriptor[],
  wanted: string | undefined,
  path: string,
  place: string,
): Choice {
  const found = wanted === undefined ? entries : entries.filter((entry) => isCalled(entry, wanted));
  const [first, ...others] = distinct(found);
  if (first === undefined) {
    const offered = namesOf(entries);
    throw new Failure(
      "NotFound",
      wanted === undefined
        ? `${place} holds no image`
        : `${place} holds no image "${wanted}": ${offered === "" ? "its images have no names" : `it has ${offered}`}`,
    );
  }
  const isOne = others.every((entry) => entry.platform !== undefined && nameOf(entry) === nameOf(first));
  if (!isOne || (others.length > 0 && first.platform === undefined)) {
    throw new Failure("InvalidArgument", `${place} holds several images (${namesOf(found)}): add :TAG for one of them`);
  }
  const tag = first.annotations?.[refNameAnnotation] ?? wanted;
  return { name: nameOf(first) ?? localName(path, tag), entries: [first, ...others] };
}

function isCalled(entry: Descriptor, wanted: string): boolean {
  const ref = entry.annotations?.[refNameAnnotation];
  if (ref === wanted || entry.annotations?.[imageNameAnnotation] === wanted) return true;
  const name = nameOf(entry);
  return name !== undefined && (name === fullName(wanted) || name.endsWith(`:${wanted}`));
}

/** The full name that the entry itself gives; a bare tag is none. */
function nameOf({ annotations }: Descriptor): string | undefined {
  return fullName(annotations?.[imageNameAnnotation]) ?? fullName(annotations?.[refNameAnnotation]);
}

/** One image under two names is there twice. */
function distinct(entries: readonly Descriptor[]): Descriptor[] {
  return [...new Map(entries.toReversed().map((entry) => [entry.digest, entry])).values()].toReversed();
}

function namesOf(entries: readonly Descriptor[]): string {
  const names = entries.map((entry) => nameOf(entry) ?? entry.annotations?.[refNameAnnotation] ?? entry.digest);
  // deno-lint-ignore no-control-regex -- a stranger's text must not drive the terminal
  return [...new Set(names)].slice(0, 20).join(", ").replace(/[\x00-\x1f\x7f-\x9f]/g, "?");
}

/** The bytes of an index that joins the platforms of one image. */
export function joinEntries(entries: readonly Descriptor[]): Uint8Array<ArrayBuffer> {
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries };
  return new TextEncoder().encode(JSON.stringify(index));
}
