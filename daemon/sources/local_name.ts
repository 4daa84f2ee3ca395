/**
 * Names for images that come from files.
 *
 * @module
 */
import { isTag, tryParseReference } from "./reference.ts";

/**
 * The name to record for an image without full name: `localhost/` and the file's name. It never is a name of
 * Docker Hub, or a directory called `debian` would take the place of the real image at the next run.
 */
export function localName(path: string, tag = "latest"): string {
  const file = path.replace(/\/+$/, "").replace(/^.*\//, "").replace(/\.(tar|tgz|oci)(\.(gz|zst|zstd))?$/i, "");
  const word = file.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 128);
  return `localhost/${word === "" ? "image" : word}:${isTag(tag) ? tag : "latest"}`;
}

/** The full image name that an annotation or tag of a foreign archive gives; undefined for a bare tag or nonsense. */
export function fullName(text: string | undefined): string | undefined {
  return text !== undefined && /[/:@]/.test(text) ? tryParseReference(text)?.name : undefined;
}
