/**
 * The labels that containerd's clients put on the blobs of an image.
 *
 * @module
 */
import { type Descriptor, isManifestType, mediaTypes } from "../../api/oci/image_spec.ts";
import { labelBytesMax, type Labels } from "../metadata/label_refs.ts";

const configTypes: ReadonlySet<string> = new Set([
  mediaTypes.ociConfig,
  mediaTypes.dockerConfig,
  "application/octet-stream",
]);

/** Whether the media type is a layer's, of docker or OCI, whatever its compression. */
export function isLayerType(mediaType: string): boolean {
  return mediaType.startsWith("application/vnd.oci.image.layer.") ||
    mediaType.startsWith("application/vnd.docker.image.rootfs.");
}

/** The labels by which a manifest or index keeps its children alive: `containerd.io/gc.ref.content.…` = digest. */
export function childLabels(children: readonly Descriptor[]): Record<string, string> {
  const counts = new Map<string, number>();
  const labels: Record<string, string> = {};
  for (const { mediaType, digest } of children) {
    const prefix = "containerd.io/gc.ref.content.";
    if (configTypes.has(mediaType)) {
      labels[`${prefix}config`] = digest;
      continue;
    }
    const key = isManifestType(mediaType) ? `${prefix}m.` : isLayerType(mediaType) ? `${prefix}l.` : prefix;
    const count = counts.get(key) ?? 0;
    counts.set(key, count + 1);
    labels[`${key}${count}`] = digest;
  }
  return labels;
}

/**
 * The label that says where a blob can be had again: registry host without port, and its repositories. Empty where
 * there is none, or where the label would grow too long.
 */
export function sourceLabels(distribution: { host: string; repository: string } | undefined, old: Labels): Labels {
  if (distribution === undefined) return {};
  // An IPv6 address keeps its brackets and loses only the port behind them.
  const key = `containerd.io/distribution.source.${distribution.host.replace(/:\d+$/, "")}`;
  const known = (old[key] ?? "").split(",").filter((repository) => repository !== "");
  const value = [...new Set([...known, distribution.repository])].sort().join(",");
  return key.length + value.length > labelBytesMax ? {} : { [key]: value };
}
