/**
 * An image in an archive of `docker save` before version 25: `manifest.json`, configs and layers as plain members.
 *
 * @module
 */
import { type Digest, isDigest } from "../../../api/digest.ts";
import { Failure } from "../../../api/errors.ts";
import { type Descriptor, type ImageManifest, mediaTypes } from "../../../api/oci/image_spec.ts";
import { digestOf } from "../digest_of.ts";
import { parseJson, readSmall } from "../layout/named_files.ts";
import { fullName, localName } from "../local_name.ts";
import { tryParseReference } from "../reference.ts";
import type { ImageSource } from "../source.ts";
import { sniffCompression } from "./inflate.ts";
import type { Extent } from "./member_index.ts";
import type { TarFiles } from "./tar_files.ts";

/** One image of `manifest.json`. */
interface Entry {
  readonly Config: string;
  readonly RepoTags?: readonly string[] | null;
  readonly Layers: readonly string[];
}

const layerTypes = {
  none: mediaTypes.dockerLayer,
  gzip: mediaTypes.dockerLayerGzip,
  zstd: `${mediaTypes.dockerLayer}.zstd`,
} as const;

/**
 * Opens the image `wanted` of the archive; the source owns `files` from then on. Throws `NotFound` where it holds no
 * such image or a part is missing, `InvalidArgument` for a broken `manifest.json` or where the choice is unclear.
 */
export function openDockerSave(
  files: TarFiles,
  manifestJson: Uint8Array,
  wanted: string | undefined,
  path: string,
): ImageSource {
  const entries = readEntries(parseJson(manifestJson, "manifest.json", files.place), files.place);
  const { entry, name } = chooseEntry(entries, wanted, path, files.place);
  return new DockerSaveSource(files, entry, name);
}

function readEntries(value: unknown, place: string): Entry[] {
  const isTexts = (list: unknown): boolean => Array.isArray(list) && list.every((item) => typeof item === "string");
  const isEntry = (entry: Partial<Record<keyof Entry, unknown>> | null) =>
    typeof entry === "object" && typeof entry?.Config === "string" && isTexts(entry.Layers) &&
    (entry.RepoTags === undefined || entry.RepoTags === null || isTexts(entry.RepoTags));
  if (Array.isArray(value) && value.every(isEntry)) return value;
  throw new Failure("InvalidArgument", `manifest.json in ${place} is not a list of images as docker save writes it`);
}

function chooseEntry(entries: readonly Entry[], wanted: string | undefined, path: string, place: string) {
  const named = entries.flatMap((entry) =>
    (entry.RepoTags ?? []).flatMap((tag) => {
      const name = tryParseReference(tag)?.name;
      return name === undefined ? [] : [{ entry, name }];
    })
  );
  const offered = named.map(({ name }) => name).join(", ");
  if (wanted !== undefined) {
    const name = fullName(wanted) ?? tryParseReference(wanted)?.name;
    const found = named.find((image) => image.name === name) ??
      named.find((image) => image.name.endsWith(`:${wanted}`));
    if (found !== undefined) return found;
    throw new Failure(
      "NotFound",
      `${place} holds no image "${wanted}": ${offered === "" ? "its images have no names" : `it has ${offered}`}`,
    );
  }
  const [entry, second] = entries;
  if (entry === undefined) throw new Failure("NotFound", `${place} holds no image`);
  if (second !== undefined) {
    throw new Failure(
      "InvalidArgument",
      `${place} holds ${entries.length} images (${offered}): add :NAME for one of them`,
    );
  }
  return { entry, name: named[0]?.name ?? localName(path) };
}

/** Gives the image the docker schema 2 manifest that it lacks. */
class DockerSaveSource implements ImageSource {
  readonly name: string;
  readonly #files: TarFiles;
  readonly #entry: Entry;
  readonly #members = new Map<Digest, Extent>();
  #manifest: { readonly descriptor: Descriptor; readonly bytes: Uint8Array<ArrayBuffer> } | undefined;

  constructor(files: TarFiles, entry: Entry, name: string) {
    this.#files = files;
    this.#entry = entry;
    this.name = name;
  }

  async resolve(signal: AbortSignal): Promise<Descriptor> {
    this.#manifest ??= await this.#synthesise(signal);
    return this.#manifest.descriptor;
  }

  async #synthesise(signal: AbortSignal) {
    const { Config, Layers } = this.#entry;
    const configBytes = await readSmall(this.#files, Config, signal);
    if (configBytes === undefined) {
      throw new Failure("NotFound", `image config "${Config}" not found in ${this.#files.place}`);
    }
    const config = parseJson(configBytes, Config, this.#files.place);
    const diffIds = diffIdsOf(config);
    if (diffIds?.length !== Layers.length) {
      throw new Failure(
        "InvalidArgument",
        `image config "${Config}" in ${this.#files.place} lists ${
          diffIds?.length ?? "no"
        } layers, manifest.json ${Layers.length}`,
      );
    }
    const manifest: ImageManifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.dockerManifest,
      config: { mediaType: mediaTypes.dockerConfig, digest: await digestOf(configBytes), size: configBytes.length },
      layers: [],
    };
    this.#keep(manifest.config.digest, Config);
    for (const [i, diffId] of diffIds.entries()) {
      manifest.layers.push(await this.#layer(Layers[i] ?? "", diffId, signal));
    }
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    const descriptor = { mediaType: mediaTypes.dockerManifest, digest: await digestOf(bytes), size: bytes.length };
    return { descriptor, bytes };
  }

  async #layer(name: string, diffId: Digest, signal: AbortSignal): Promise<Descriptor> {
    const extent = this.#files.find(name);
    if (extent === undefined) throw new Failure("NotFound", `layer "${name}" not found in ${this.#files.place}`);
    const compression = sniffCompression(this.#files.read(extent, 0, 8), `layer "${name}" in ${this.#files.place}`);
    // The digest of a plain layer is its diff id, which saves reading it twice; whoever reads it checks it.
    const digest = compression === "none" ? diffId : await this.#hash(extent, signal);
    this.#members.set(digest, extent);
    return { mediaType: layerTypes[compression], digest, size: extent.size };
  }

  async #hash(extent: Extent, signal: AbortSignal): Promise<Digest> {
    const { createHash } = await import("node:crypto");
    const hash = createHash("sha256");
    for await (const piece of this.#files.stream(extent, 0, signal)) hash.update(piece);
    // The cast is what parseDigest would check: a known algorithm and the hex of its sum.
    return `sha256:${hash.digest("hex")}` as Digest;
  }

  #keep(digest: Digest, name: string): void {
    const extent = this.#files.find(name);
    if (extent !== undefined) this.#members.set(digest, extent);
  }

  open({ digest, size }: Descriptor, offset: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    if (this.#manifest?.descriptor.digest === digest) {
      return Promise.resolve(ReadableStream.from([this.#manifest.bytes.subarray(offset)]));
    }
    const extent = this.#members.get(digest);
    if (extent === undefined || extent.size !== size) {
      return Promise.reject(new Failure("NotFound", `${this.#files.place} does not hold ${digest} with ${size} bytes`));
    }
    return Promise.resolve(this.#files.stream(extent, offset, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]();
  }
}

/** `rootfs.diff_ids` of an image config, undefined where they are not a list of digests. */
function diffIdsOf(config: unknown): Digest[] | undefined {
  const rootfs = typeof config === "object" && config !== null && "rootfs" in config ? config.rootfs : undefined;
  const ids = typeof rootfs === "object" && rootfs !== null && "diff_ids" in rootfs ? rootfs.diff_ids : undefined;
  return Array.isArray(ids) && ids.every((id) => typeof id === "string" && isDigest(id)) ? ids : undefined;
}
