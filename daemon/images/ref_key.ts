/**
 * What a blob under way is called: its kind and its digest.
 *
 * @module
 */
import { type Descriptor, isIndexType, isManifestType, mediaTypes } from "../../api/oci/image_spec.ts";
import { isLayerType } from "./content_labels.ts";

/** The name of a blob's ingest, and of its line in a pull's progress, as containerd's clients know it. */
export function refKey({ mediaType, digest }: Descriptor): string {
  return `${kindOf(mediaType)}-${digest}`;
}

function kindOf(mediaType: string): string {
  if (isManifestType(mediaType)) return "manifest";
  if (isIndexType(mediaType)) return "index";
  if (isLayerType(mediaType)) return "layer";
  if (isConfigType(mediaType)) return "config";
  return mediaType === "application/vnd.in-toto+json" ? "attestation" : "unknown";
}

/** Whether the media type is that of an image's config. */
export function isConfigType(mediaType: string): boolean {
  return mediaType === mediaTypes.ociConfig || mediaType === mediaTypes.dockerConfig;
}
