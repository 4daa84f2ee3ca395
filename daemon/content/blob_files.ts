/**
 * Where blobs lie on disk: containerd's layout, `blobs/<algorithm>/<hex>`.
 *
 * @module
 */
import { type Digest, isDigest, splitDigest } from "../../api/digest.ts";

/** The blob files of a content directory. All reads are synchronous: they are small, or measured in descriptors. */
export class BlobFiles {
  readonly #made = new Set<string>();

  constructor(readonly directory: string) {}

  /** Path of a blob, whether it exists or not. */
  path(digest: Digest): string {
    const { algorithm, hex } = splitDigest(digest);
    return `${this.directory}/blobs/${algorithm}/${hex}`;
  }

  /** The directory of a blob, made where it is missing. */
  directoryFor(digest: Digest): string {
    const { algorithm } = splitDigest(digest);
    const directory = `${this.directory}/blobs/${algorithm}`;
    if (!this.#made.has(algorithm)) {
      Deno.mkdirSync(directory, { recursive: true });
      this.#made.add(algorithm);
    }
    return directory;
  }

  /** Size in bytes, or undefined where there is no such file. */
  size(digest: Digest): number | undefined {
    try {
      const info = Deno.lstatSync(this.path(digest));
      return info.isFile ? info.size : undefined;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Tells a file from another that takes its place; undefined where there is none. */
  identity(digest: Digest): string | undefined {
    try {
      const { ino, mtime } = Deno.lstatSync(this.path(digest));
      return `${ino} ${mtime?.getTime()}`;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Digests of all blob files; strange names are passed over. */
  *list(): Generator<Digest> {
    for (const { name: algorithm, isDirectory } of Deno.readDirSync(`${this.directory}/blobs`)) {
      if (!isDirectory) continue;
      for (const { name: hex } of Deno.readDirSync(`${this.directory}/blobs/${algorithm}`)) {
        const digest = `${algorithm}:${hex}`;
        if (isDigest(digest)) yield digest;
      }
    }
  }
}
