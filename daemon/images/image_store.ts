/**
 * Images: names for root descriptors.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import type { Descriptor } from "../../api/oci/image_spec.ts";
import type { Labels } from "../metadata/label_refs.ts";
import type { Objects } from "../metadata/objects.ts";

/** An image as stored. Times are milliseconds since 1970. */
export interface ImageInfo {
  readonly name: string;
  /** Manifest or index. */
  readonly target: Descriptor;
  readonly created: number;
  readonly updated: number;
  readonly labels: Labels;
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

/** The named images of one namespace. A name keeps its target alive, and what the target's labels refer to. */
export class ImageStore {
  constructor(readonly objects: Objects) {}

  /** Gives the name to the target, also where another had it. `labels` replaces the image's labels if given. */
  async put(name: string, target: Descriptor, labels?: Labels): Promise<void> {
    if (name === "") throw new Failure("InvalidArgument", "an image needs a name that is not empty");
    const { database, namespace } = this.objects;
    await database.transaction(() => {
      this.objects.enterNamespace();
      const now = Date.now();
      database.run(
        `INSERT INTO images (namespace, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET media_type = excluded.media_type, digest = excluded.digest, size = excluded.size,
           annotations = excluded.annotations, updated = excluded.updated`,
        namespace,
        name,
        target.mediaType,
        target.digest,
        target.size,
        target.annotations === undefined ? null : JSON.stringify(target.annotations),
        now,
        now,
      );
      if (labels !== undefined) this.objects.setLabels("image", name, labels);
      this.objects.unlink("image", name, "target");
      this.objects.link("image", name, "content", target.digest, "target");
    });
  }

  /** The image, or undefined. */
  async find(name: string): Promise<ImageInfo | undefined> {
    const { database, namespace } = this.objects;
    return await database.read(() => {
      const sql = `SELECT ${columns} FROM images WHERE namespace = ? AND name = ?`;
      const row = database.get<ImageRow>(sql, namespace, name);
      return row === undefined ? undefined : this.#info(row);
    });
  }

  /** The image. Throws `NotFound`. */
  async get(name: string): Promise<ImageInfo> {
    const info = await this.find(name);
    if (info === undefined) throw missing(name);
    return info;
  }

  /** All images, by name. */
  async list(): Promise<ImageInfo[]> {
    const { database, namespace } = this.objects;
    const sql = `SELECT ${columns} FROM images WHERE namespace = ? ORDER BY name`;
    return await database.read(() => database.all<ImageRow>(sql, namespace).map((row) => this.#info(row)));
  }

  /** Takes the name away; what nothing else refers to is garbage then. Throws `NotFound`. */
  async delete(name: string): Promise<void> {
    await this.objects.database.transaction(() => this.deleteInside(name));
  }

  /** As {@link delete}, inside a transaction of the caller's. */
  deleteInside(name: string): void {
    const { database, namespace } = this.objects;
    const gone = database.run("DELETE FROM images WHERE namespace = ? AND name = ?", namespace, name);
    if (gone === 0) throw missing(name);
    this.objects.forget("image", name);
  }

  #info(row: ImageRow): ImageInfo {
    const { name, media_type: mediaType, digest, size, annotations, created, updated } = row;
    // The column is written by put() only, from the descriptor's own annotations.
    const extra = annotations === null ? {} : { annotations: JSON.parse(annotations) as Record<string, string> };
    const labels = this.objects.labels("image", name);
    return { name, target: { mediaType, digest, size, ...extra }, created, updated, labels };
  }
}

function missing(name: string): Failure {
  return new Failure("NotFound", `image "${name}" does not exist here: pull it first`);
}
