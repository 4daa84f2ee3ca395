/**
 * Images in memory for tests, and a source of them that can fail at will.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { type Digest, parseDigest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import { type Descriptor, mediaTypes } from "../../api/oci/image_spec.ts";
import type { ImageSource } from "../sources/source.ts";

/** The sha256 digest of bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
}

/** Settings of {@link MemoryImage} that make it other than it should be. */
export interface ImageFaults {
  readonly diffIds?: readonly Digest[];
  readonly architecture?: string;
  readonly withoutIndex?: boolean;
}

const encoder = new TextEncoder();

/** An image for linux/amd64 whose layers are the given tar archives, gzip-compressed. */
export class MemoryImage {
  readonly blobs = new Map<Digest, Uint8Array<ArrayBuffer>>();
  readonly layers: Descriptor[];
  readonly config: Descriptor;
  readonly manifest: Descriptor;
  readonly root: Descriptor;

  constructor(tars: readonly Uint8Array<ArrayBuffer>[], faults: ImageFaults = {}) {
    const { architecture = "amd64" } = faults;
    this.layers = tars.map((tar) => this.#add(mediaTypes.ociLayerGzip, Uint8Array.from(gzipSync(tar))));
    const diffIds = faults.diffIds ?? tars.map(digestOf);
    const rootfs = { type: "layers", diff_ids: diffIds };
    this.config = this.#addJson(mediaTypes.ociConfig, { os: "linux", architecture, config: { Cmd: ["/x"] }, rootfs });
    this.manifest = this.#addJson(mediaTypes.ociManifest, {
      schemaVersion: 2,
      config: this.config,
      layers: this.layers,
    });
    const manifests = [{ ...this.manifest, platform: { os: "linux", architecture } }];
    this.root = faults.withoutIndex === true
      ? this.manifest
      : this.#addJson(mediaTypes.ociIndex, { schemaVersion: 2, manifests });
  }

  #add(mediaType: string, bytes: Uint8Array<ArrayBuffer>): Descriptor {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  #addJson(mediaType: string, value: unknown): Descriptor {
    return this.#add(mediaType, encoder.encode(JSON.stringify(value)));
  }
}

/** A source that serves an image from memory, in chunks, and keeps a list of what was asked for. */
export class MemorySource implements ImageSource {
  readonly name: string;
  readonly distribution = { host: "registry.test:5000", repository: "library/fixture" };
  /** `digest@offset` of every `open`. */
  readonly opened: string[] = [];
  /** Bytes in one chunk. */
  chunkBytes = 10_000;
  /** The stream of this blob breaks off after so many bytes of it. */
  breakOff: { digest: Digest; after: number; how: "error" | "end" } | undefined;
  /** This blob is served with these bytes instead. */
  replaced: { digest: Digest; bytes: Uint8Array<ArrayBuffer> } | undefined;
  /** Called before each chunk of a blob. */
  beforeChunk: ((digest: Digest, offset: number) => Promise<void> | void) | undefined;

  constructor(readonly image: MemoryImage, name = "registry.test:5000/library/fixture:latest") {
    this.name = name;
  }

  resolve(signal: AbortSignal): Promise<Descriptor> {
    signal.throwIfAborted();
    return Promise.resolve(this.image.root);
  }

  open(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const { digest } = descriptor;
    this.opened.push(`${digest}@${offset}`);
    const bytes = this.replaced?.digest === digest ? this.replaced.bytes : this.image.blobs.get(digest);
    if (bytes === undefined) return Promise.reject(new Failure("NotFound", `blob ${digest} is not in ${this.name}`));
    let at = offset;
    return Promise.resolve(
      new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          signal.throwIfAborted();
          await this.beforeChunk?.(digest, at);
          signal.throwIfAborted();
          const { breakOff } = this;
          const isBroken = breakOff?.digest === digest;
          const end = Math.min(bytes.length, at + this.chunkBytes, isBroken ? breakOff.after : Infinity);
          if (end > at) controller.enqueue(bytes.slice(at, end));
          at = end;
          if (isBroken && at >= breakOff.after) {
            if (breakOff.how === "error") throw new Failure("Unavailable", `the connection to ${this.name} was cut`);
            controller.close();
          } else if (at >= bytes.length) controller.close();
        },
      }, { highWaterMark: 0 }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
