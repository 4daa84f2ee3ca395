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
 * How to unpack a layer of this media type.
 *
 * Only OCI's plain `tar` is taken at its word. For all others the first bytes decide, as in containerd: images with
 * gzip under Docker's plain type, or plain tar under a gzip type, are common enough.
 *
 * Throws `NotImplemented` where the type is no layer or needs a processor, as `+encrypted` does.
 */
export function packingOf(mediaType: string): Packing {
  if (docker.test(mediaType)) return "sniff";
  const suffix = oci.exec(mediaType)?.groups?.["suffix"];
  if (suffix === "") return "none";
  if (suffix === "+gzip" || suffix === "+zstd") return "sniff";
  throw new Failure(
    "NotImplemented",
    `no processor for media-type "${mediaType}": want an OCI or Docker layer that is plain, gzip or zstd`,
  );
}
