/**
 * What a manifest is, by its header or its content.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { mediaTypes } from "../../../api/oci/image_spec.ts";

/** Every type that is asked for, in one `Accept` header; some registries look only at the first header line. */
export const manifestAccept = [
  mediaTypes.dockerManifest,
  mediaTypes.dockerIndex,
  mediaTypes.ociManifest,
  mediaTypes.ociIndex,
  "*/*",
].join(", ");

const known: readonly string[] = [
  mediaTypes.dockerManifest,
  mediaTypes.dockerIndex,
  mediaTypes.ociManifest,
  mediaTypes.ociIndex,
];

/**
 * The manifest type of a `Content-Type` header, undefined where only the content can tell. Throws
 * `NotImplemented` for docker's schema 1, which old servers also send as plain text.
 */
export function manifestTypeOf(header: string | null): string | undefined {
  const type = (header ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type.startsWith("application/vnd.docker.distribution.manifest.v1") || type === "text/plain") throw schema1();
  return known.includes(type) ? type : undefined;
}

/**
 * The type of a manifest's bytes: its own `mediaType`, else by its fields. Throws `InvalidArgument` where it is
 * no manifest, or could be read as two kinds (CVE-2021-41190), `NotImplemented` for schema 1.
 */
export function guessManifestType(bytes: Uint8Array): string {
  const fail = (reason: string) => new Failure("InvalidArgument", `its manifest ${reason}`);
  let fields: { schemaVersion?: unknown; mediaType?: unknown; manifests?: unknown; config?: unknown; layers?: unknown };
  try {
    fields = JSON.parse(new TextDecoder().decode(bytes)) ?? {};
  } catch (cause) {
    throw new Failure("InvalidArgument", "its manifest is not JSON", { cause });
  }
  if (fields.schemaVersion === 1) throw schema1();
  const isIndex = Array.isArray(fields.manifests);
  const isManifest = fields.config !== undefined || Array.isArray(fields.layers);
  if (isIndex && isManifest) throw fail("claims to be an index and an image at once");
  if (!isIndex && !isManifest) throw fail("lists neither images nor layers");
  const named = typeof fields.mediaType === "string" && known.includes(fields.mediaType) ? fields.mediaType : undefined;
  return named ?? (isIndex ? mediaTypes.ociIndex : mediaTypes.ociManifest);
}

function schema1(): Failure {
  return new Failure(
    "NotImplemented",
    "the registry offers it in docker's schema 1 only, which is no longer supported: push it again with a newer tool",
  );
}
