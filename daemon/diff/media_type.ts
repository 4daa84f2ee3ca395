/**
 * How the bytes of a layer are packed, by its media type.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** `sniff`: the first bytes tell; `none`: a tar archive as it is. */
export type Packing = "sniff" | "none";

const docker = /^application\/vnd\.docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.gzip|\.zstd)?$/;
const oci = /^application\/vnd\.oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?<suffix>(?:\+[^+]*)*)$/;

/**
 * How to unpack a layer of this media type; undefined where the type is no layer or needs a processor first, as
 * `+encrypted` does.
 *
 * Only OCI's plain `tar` is taken at its word. For all others the first bytes decide, as in containerd: images with
 * gzip under Docker's plain type, or plain tar under a gzip type, are common enough.
 */
export function knownPacking(mediaType: string): Packing | undefined {
  if (docker.test(mediaType)) return "sniff";
  const suffix = oci.exec(mediaType)?.groups?.["suffix"];
  if (suffix === "") return "none";
  return suffix === "+gzip" || suffix === "+zstd" ? "sniff" : undefined;
}

/** As {@link knownPacking}. Throws `NotImplemented` where that knows none. */
export function packingOf(mediaType: string): Packing {
  const packing = knownPacking(mediaType);
  if (packing !== undefined) return packing;
  throw new Failure(
    "NotImplemented",
    `no processor for media-type "${mediaType}": want an OCI or Docker layer that is plain, gzip or zstd`,
  );
}
