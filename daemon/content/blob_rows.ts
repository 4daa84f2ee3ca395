/**
 * The rows of blobs, and what happens to their files with them. Everything here runs inside a transaction.
 *
 * @module
 */
import { type Digest, isDigest } from "../../api/digest.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { Undo } from "../metadata/database.ts";
import type { Labels } from "../metadata/label_refs.ts";
import type { Objects } from "../metadata/objects.ts";
import type { Trash } from "../metadata/trash.ts";
import type { BlobFiles } from "./blob_files.ts";
import { isForeign } from "./foreign_blobs.ts";

/** How the names of blobs in the trash begin; the digest and a UUID follow. */
const trashPrefix = "blob-";
const uuidLength = 36;

/** A blob of a namespace. Times are milliseconds since 1970. */
export interface BlobInfo {
  readonly digest: Digest;
  readonly size: number;
  readonly created: number;
  readonly updated: number;
  readonly labels: Labels;
}

/** A blob as it is in the table. */
export type BlobRow = Omit<BlobInfo, "labels">;

/** Who may take over a blob that another namespace has: all, or all from namespaces that are labelled so. */
export type SharingPolicy = "shared" | "isolated";

/** The label by which a namespace lends its blobs to all others. */
export const shareableLabel = "containerd.io/namespace.shareable";

/** The blobs of one namespace. */
export class BlobRows {
  constructor(readonly objects: Objects, readonly files: BlobFiles, readonly trash: Trash) {}

  /** The blob without its labels, or undefined where the namespace has none. */
  row(digest: Digest): BlobRow | undefined {
    const { database, namespace } = this.objects;
    return database.get<BlobRow>(
      "SELECT digest, size, created, updated FROM blobs WHERE namespace = ? AND digest = ?",
      namespace,
      digest,
    );
  }

  /** The blob, or undefined where the namespace has none. */
  find(digest: Digest): BlobInfo | undefined {
    const row = this.row(digest);
    return row === undefined ? undefined : { ...row, labels: this.objects.labels("content", digest) };
  }

  /**
   * Puts a blob of this namespace under the lease, if it is whole, and says whether. One whose file is not is removed: a
   * power cut may have taken the end of the file, or all of it.
   */
  claimOwn(digest: Digest, lease: string | undefined, undo: Undo): boolean {
    const row = this.row(digest);
    if (row === undefined) return false;
    if (this.files.size(digest) !== row.size) {
      this.remove(digest, undo);
      return false;
    }
    this.objects.hold(lease, "content", digest);
    return true;
  }

  /**
   * As {@link claimOwn}, and takes over a file that another namespace has. One that is not whole by any namespace's row,
   * or has no row and not the wanted size, is thrown away where it is ours.
   */
  claim(digest: Digest, { size: wanted, lease }: { size?: number; lease?: string | undefined }, undo: Undo): boolean {
    const row = this.row(digest);
    if (row !== undefined) return (wanted ?? row.size) === row.size && this.claimOwn(digest, lease, undo);
    const size = this.files.size(digest);
    if (size === undefined) return false;
    const known = this.#knownSize(digest);
    if (size !== (known ?? wanted ?? size)) {
      if (!isForeign(this.objects.database, digest)) this.trash.take(this.files.path(digest), undo);
      return false;
    }
    if (wanted !== undefined && wanted !== size) return false;
    this.insert(digest, size);
    this.objects.hold(lease, "content", digest);
    return true;
  }

  #knownSize(digest: Digest): number | undefined {
    return this.objects.database.get<{ size: number }>("SELECT size FROM blobs WHERE digest = ? LIMIT 1", digest)?.size;
  }

  /** Size of a file that this namespace may take over though it has no row; undefined where there is none. */
  shareableSize(digest: Digest, policy: SharingPolicy): number | undefined {
    const { database } = this.objects;
    const size = this.files.size(digest);
    if (size === undefined) return undefined;
    const rows = database.all<{ size: number; shareable: number }>(
      "SELECT size, EXISTS (SELECT 1 FROM labels WHERE labels.namespace = blobs.namespace AND kind = 'namespace' " +
        `AND key = blobs.namespace AND label = '${shareableLabel}' AND value = 'true') AS shareable ` +
        "FROM blobs WHERE digest = ?",
      digest,
    );
    // Without any row it is the file of a writer that died in the last moment: whole, and nobody's.
    if (rows.some((row) => row.size !== size)) return undefined;
    return policy === "shared" || rows.some(({ shareable }) => shareable === 1) ? size : undefined;
  }

  /** Adds the row of a blob whose file is in its place. */
  insert(digest: Digest, size: number): void {
    const { database, namespace } = this.objects;
    const now = wallTimeMs();
    this.objects.enterNamespace();
    database.run("INSERT INTO blobs VALUES (?, ?, ?, ?, ?)", namespace, digest, size, now, now);
  }

  /** Moves a finished file to its place and adds its row. What lies there has no row of the right size, and goes. */
  place(path: string, digest: Digest, size: number, undo: Undo): void {
    const place = this.files.path(digest);
    Deno.renameSync(path, place);
    undo.push(() => Deno.renameSync(place, path));
    Deno.chmodSync(place, 0o444);
    this.insert(digest, size);
  }

  /**
   * Removes the row and, where it was the last one, moves the file to the trash: in the same transaction, so that nobody
   * ever finds a file that is about to go. Gives its place there.
   */
  remove(digest: Digest, undo: Undo): string | undefined {
    const { database, namespace } = this.objects;
    database.run("DELETE FROM blobs WHERE namespace = ? AND digest = ?", namespace, digest);
    this.objects.forget("content", digest);
    return this.dropFile(digest, undo);
  }

  /**
   * Removes the row, and the file although other namespaces have it too: it is not what its digest says, and whoever comes
   * next brings it for all of them. Gives its place in the trash.
   */
  removeDamaged(digest: Digest, undo: Undo): string | undefined {
    const { database, namespace } = this.objects;
    database.run("DELETE FROM blobs WHERE namespace = ? AND digest = ?", namespace, digest);
    this.objects.forget("content", digest);
    return isForeign(database, digest) ? undefined : this.trash.take(this.files.path(digest), undo);
  }

  /** Moves the file to the trash where no row of any namespace needs it and it is ours. Gives its place there. */
  dropFile(digest: Digest, undo: Undo): string | undefined {
    const { database } = this.objects;
    const needed = database.get(
      "SELECT 1 FROM blobs WHERE digest = ?1 UNION ALL SELECT 1 FROM ingests WHERE expected = ?1 " +
        "UNION ALL SELECT 1 FROM foreign_blobs WHERE digest = ?1 LIMIT 1",
      digest,
    );
    if (needed !== undefined) return undefined;
    return this.trash.take(this.files.path(digest), undo, `${trashPrefix}${digest}-`);
  }

  /** Moves files back that were thrown away by transactions which never came to their end. */
  restore(): void {
    for (const { name } of Deno.readDirSync(this.trash.directory)) {
      const digest = name.slice(trashPrefix.length, -uuidLength - 1);
      if (!name.startsWith(trashPrefix) || !isDigest(digest)) continue;
      const row = this.objects.database.get<{ size: number }>("SELECT size FROM blobs WHERE digest = ?", digest);
      if (row === undefined || this.files.size(digest) !== undefined) continue;
      Deno.renameSync(`${this.trash.directory}/${name}`, this.files.path(digest));
    }
  }
}
