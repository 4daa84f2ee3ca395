/**
 * Images: names for root descriptors.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import type { Descriptor } from "../../api/oci/image_spec.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { Labels } from "../metadata/label_refs.ts";
import type { Objects } from "../metadata/objects.ts";
import { pagesOf, type PageSource } from "../metadata/pages.ts";

/** The label by which an image lives until a time, unless something refers to it. */
const expireLabel = "containerd.io/gc.expire";

/** An image as stored. Times are milliseconds since 1970. */
export interface ImageInfo {
  readonly name: string;
  /** Manifest or index. */
  readonly target: Descriptor;
  readonly created: number;
  readonly updated: number;
  readonly labels: Labels;
}

/** What the caller of {@link ImageStore.insertInside} decides. */
export interface NewImage extends Pick<ImageInfo, "name" | "target" | "labels"> {
  /** When it was made, in milliseconds since 1970; else now. */
  readonly created?: number;
}

interface ImageRow {
  name: string;
  media_type: string;
  digest: Digest;
  size: number;
  annotations: string | null;
  created: number;
  updated: number;
}

const columns = "name, media_type, digest, size, annotations, created, updated";

const source: PageSource<ImageRow, ImageInfo> = {
  kind: "image",
  sql: `SELECT ${columns} FROM images WHERE namespace = ? AND name > ? ORDER BY name LIMIT ?`,
  keyOf: ({ name }) => name,
  info: infoOf,
};

/** The named images of one namespace. A name keeps its target alive, and what the target's labels refer to. */
export class ImageStore {
  constructor(readonly objects: Objects) {}

  /** Gives the name to the target, also where another had it. `labels` replaces the image's labels if given. */
  async put(name: string, target: Descriptor, labels?: Labels): Promise<void> {
    if (name === "") throw new Failure("InvalidArgument", "an image needs a name that is not empty");
    const { database, namespace } = this.objects;
    await database.transaction(() => {
      this.objects.enterNamespace();
      const now = wallTimeMs();
      database.run(
        `INSERT INTO images (namespace, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET media_type = excluded.media_type, digest = excluded.digest, size = excluded.size,
           annotations = excluded.annotations, updated = excluded.updated`,
        namespace,
        name,
        target.mediaType,
        target.digest,
        target.size,
        annotationsText(target),
        now,
        now,
      );
      if (labels !== undefined) this.objects.setLabels("image", name, labels);
      this.objects.unlink("image", name, "target");
      this.objects.link("image", name, "content", target.digest, "target");
    });
  }

  /**
   * Adds an image, inside a transaction of the caller's; says whether the name was free. A lease holds it only where it
   * expires: others need none. Throws `NotFound` without the lease, `InvalidArgument` for labels.
   */
  insertInside({ name, target, labels, created = wallTimeMs() }: NewImage, lease?: string): boolean {
    const { database, namespace } = this.objects;
    this.objects.enterNamespace();
    const made = database.run(
      `INSERT OR IGNORE INTO images (namespace, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      namespace,
      name,
      target.mediaType,
      target.digest,
      target.size,
      annotationsText(target),
      created,
      created,
    );
    if (made === 0) return false;
    this.objects.initLabels("image", name, labels);
    this.objects.link("image", name, "content", target.digest, "target");
    if (labels[expireLabel]) this.objects.hold(lease, "image", name);
    return true;
  }

  /** Replaces what is known of an image that exists, inside a transaction of the caller's. Throws as the former. */
  updateInside({ name, target, labels, updated }: Omit<ImageInfo, "created">, lease?: string): void {
    const { database, namespace } = this.objects;
    database.run(
      "UPDATE images SET media_type = ?, digest = ?, size = ?, annotations = ?, updated = ? " +
        "WHERE namespace = ? AND name = ?",
      target.mediaType,
      target.digest,
      target.size,
      annotationsText(target),
      updated,
      namespace,
      name,
    );
    this.objects.setLabels("image", name, labels);
    this.objects.unlink("image", name, "target");
    this.objects.link("image", name, "content", target.digest, "target");
    if (labels[expireLabel]) this.objects.hold(lease, "image", name);
  }

  /** The image, or undefined. */
  async find(name: string): Promise<ImageInfo | undefined> {
    return await this.objects.database.read(() => this.findInside(name));
  }

  /** As {@link find}, inside `Database.read` or a transaction. */
  findInside(name: string): ImageInfo | undefined {
    const { database, namespace } = this.objects;
    const sql = `SELECT ${columns} FROM images WHERE namespace = ? AND name = ?`;
    const row = database.get<ImageRow>(sql, namespace, name);
    return row === undefined ? undefined : infoOf(row, this.objects.labels("image", name));
  }

  /** The image. Throws `NotFound`. */
  async get(name: string): Promise<ImageInfo> {
    const info = await this.find(name);
    if (info === undefined) throw missing(name);
    return info;
  }

  /** All images, by name, in pages. */
  pages(signal?: AbortSignal): AsyncGenerator<ImageInfo[]> {
    return pagesOf(this.objects, source, signal);
  }

  /** All images, by name. */
  async list(): Promise<ImageInfo[]> {
    return (await Array.fromAsync(this.pages())).flat();
  }

  /** Takes the name away; what nothing else refers to is garbage then. Throws `NotFound`. */
  async delete(name: string): Promise<void> {
    await this.objects.database.transaction(() => this.deleteInside(name), { frees: true });
  }

  /** As {@link delete}, inside a transaction of the caller's. */
  deleteInside(name: string): void {
    const { database, namespace } = this.objects;
    const gone = database.run("DELETE FROM images WHERE namespace = ? AND name = ?", namespace, name);
    if (gone === 0) throw missing(name);
    this.objects.forget("image", name);
  }
}

function annotationsText({ annotations }: Descriptor): string | null {
  return annotations === undefined ? null : JSON.stringify(annotations);
}

function infoOf(row: ImageRow, labels: Labels): ImageInfo {
  const { name, media_type: mediaType, digest, size, annotations, created, updated } = row;
  // The column is written here only, from a descriptor's own annotations.
  const extra = annotations === null ? {} : { annotations: JSON.parse(annotations) as Record<string, string> };
  return { name, target: { mediaType, digest, size, ...extra }, created, updated, labels };
}

function missing(name: string): Failure {
  return new Failure("NotFound", `image "${name}" does not exist here: pull it first`);
}
