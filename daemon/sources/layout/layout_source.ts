/**
 * An image in an OCI layout (image-spec `image-layout.md`), in a directory or in an archive.
 *
 * @module
 */
import { type Digest, splitDigest } from "../../../api/digest.ts";
import { Failure } from "../../../api/errors.ts";
import { type Descriptor, mediaTypes } from "../../../api/oci/image_spec.ts";
import { digestOf } from "../digest_of.ts";
import type { ImageSource } from "../source.ts";
import { type Choice, chooseEntries, joinEntries, readEntries } from "./index_json.ts";
import { type NamedFiles, parseJson, readSmall } from "./named_files.ts";

/**
 * Opens the image `wanted` of a layout; the source owns `files` from then on. Throws `InvalidArgument` for what
 * is no layout, `NotFound` for an image that it does not hold.
 */
export async function openLayout(
  files: NamedFiles,
  wanted: string | undefined,
  path: string,
  signal: AbortSignal,
): Promise<ImageSource> {
  const marker = await readSmall(files, "oci-layout", signal);
  if (marker === undefined) {
    throw new Failure("InvalidArgument", `${files.place} has no file oci-layout: want an OCI layout`);
  }
  const layout = parseJson(marker, "oci-layout", files.place);
  const version = typeof layout === "object" && layout !== null && "imageLayoutVersion" in layout
    ? layout.imageLayoutVersion
    : undefined;
  if (version !== "1.0.0") {
    throw new Failure(
      "InvalidArgument",
      `${files.place} has unsupported OCI version ${JSON.stringify(version)}: want 1.0.0`,
    );
  }
  const index = await readSmall(files, "index.json", signal);
  if (index === undefined) {
    throw new Failure("InvalidArgument", `missing index.json in OCI layout 1.0.0: ${files.place}`);
  }
  const entries = readEntries(parseJson(index, "index.json", files.place), files.place);
  return new LayoutSource(files, chooseEntries(entries, wanted, path, files.place));
}

class LayoutSource implements ImageSource {
  readonly name: string;
  readonly #files: NamedFiles;
  readonly #entries: readonly Descriptor[];
  #joined: { readonly digest: Digest; readonly bytes: Uint8Array<ArrayBuffer> } | undefined;

  constructor(files: NamedFiles, { name, entries }: Choice) {
    this.name = name;
    this.#files = files;
    this.#entries = entries;
  }

  async resolve(_signal: AbortSignal): Promise<Descriptor> {
    const [first] = this.#entries;
    if (first !== undefined && this.#entries.length === 1) {
      const { mediaType, digest, size } = first;
      return { mediaType, digest, size, ...(first.platform === undefined ? {} : { platform: first.platform }) };
    }
    const bytes = joinEntries(this.#entries);
    this.#joined = { digest: await digestOf(bytes), bytes };
    return { mediaType: mediaTypes.ociIndex, digest: this.#joined.digest, size: bytes.length };
  }

  async open({ digest, size }: Descriptor, offset: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    if (this.#joined?.digest === digest) return ReadableStream.from([this.#joined.bytes.subarray(offset)]);
    const { algorithm, hex } = splitDigest(digest);
    const name = `blobs/${algorithm}/${hex}`;
    const actual = await this.#files.size(name);
    if (actual === undefined) {
      throw new Failure("NotFound", `${this.#files.place} does not hold ${digest}: the image is incomplete there`);
    }
    if (actual !== size) {
      throw new Failure(
        "DataLoss",
        `${digest} in ${this.#files.place} has ${actual} bytes, its descriptor says ${size}`,
      );
    }
    return await this.#files.open(name, offset, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]();
  }
}
