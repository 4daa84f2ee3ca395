/**
 * Snapshots as rows of the metadata database.
 *
 * @module
 */
import { type Code, Failure } from "../../api/errors.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { Labels } from "../metadata/label_refs.ts";
import type { Objects } from "../metadata/objects.ts";
import { pagesOf, type PageSource } from "../metadata/pages.ts";
import type { SnapshotInfo, SnapshotKind, Usage } from "./snapshotter.ts";

/** A row; the id names the directory. */
export interface SnapshotRow {
  readonly id: number;
  readonly key: string;
  readonly kind: SnapshotKind;
  readonly parent: string | null;
  readonly size: number | null;
  readonly inodes: number | null;
  readonly created: number;
  readonly updated: number;
}

const columns = "id, key, kind, parent, size, inodes, created, updated";

/**
 * The rows of one snapshotter in one namespace, and the rules between them. All methods run inside `Database.read` or a
 * transaction.
 */
export class SnapshotRows {
  constructor(readonly objects: Objects, readonly snapshotter: string) {}

  /** Key of a snapshot among all objects. */
  objectKey(key: string): string {
    return `${this.snapshotter}/${key}`;
  }

  find(key: string): SnapshotRow | undefined {
    const { database, namespace } = this.objects;
    return database.get<SnapshotRow>(
      `SELECT ${columns} FROM snapshots WHERE namespace = ? AND snapshotter = ? AND key = ?`,
      namespace,
      this.snapshotter,
      key,
    );
  }

  /** Throws `NotFound`. */
  get(key: string): SnapshotRow {
    const row = this.find(key);
    if (row === undefined) throw new Failure("NotFound", `snapshot ${key} does not exist`);
    return row;
  }

  /** How containerd's texts name a snapshot among those of all namespaces. */
  fullKey({ id, key }: SnapshotRow): string {
    return `${this.objects.namespace}/${id}/${key}`;
  }

  /** Rows from the parent of a snapshot down to the base. */
  parents(row: { readonly parent: string | null }): SnapshotRow[] {
    if (row.parent === null) return [];
    const { database, namespace } = this.objects;
    return database.all<SnapshotRow>(
      `WITH RECURSIVE chain AS (
         SELECT ${columns}, 0 AS depth FROM snapshots WHERE namespace = ?1 AND snapshotter = ?2 AND key = ?3
         UNION ALL
         SELECT s.id, s.key, s.kind, s.parent, s.size, s.inodes, s.created, s.updated, chain.depth + 1
         FROM snapshots s JOIN chain ON s.namespace = ?1 AND s.snapshotter = ?2 AND s.key = chain.parent
       )
       SELECT ${columns} FROM chain ORDER BY depth`,
      namespace,
      this.snapshotter,
      row.parent,
    );
  }

  /** The row of a would-be parent. Throws `NotFound`, and `code` where it is not committed. */
  committedParent(key: string, code: Code = "InvalidArgument"): SnapshotRow {
    const row = this.find(key);
    if (row === undefined) throw new Failure("NotFound", `parent snapshot ${key} does not exist`);
    if (row.kind !== "committed") {
      throw new Failure(code, `failed to create snapshot: parent "${this.fullKey(row)}" is not committed snapshot`);
    }
    return row;
  }

  /** Adds an active snapshot or a view, and gives its id. */
  insert(key: string, kind: SnapshotKind, parent: string | undefined, labels: Labels): number {
    const { database, namespace } = this.objects;
    this.objects.enterNamespace();
    const now = wallTimeMs();
    const row = database.get<{ id: number }>(
      "INSERT INTO snapshots (namespace, snapshotter, key, kind, parent, created, updated) " +
        "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
      namespace,
      this.snapshotter,
      key,
      kind,
      parent ?? null,
      now,
      now,
    );
    if (row === undefined) throw new Failure("Internal", `insertion of snapshot "${key}" gave no id`);
    this.objects.initLabels("snapshot", this.objectKey(key), labels);
    this.#linkParent(key, parent);
    return row.id;
  }

  /** Gives a row that was just added the next id. */
  renumber(id: number): number {
    const { database } = this.objects;
    const next = database.get<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'snapshots'")!.seq + 1;
    database.run("UPDATE snapshots SET id = ? WHERE id = ?", next, id);
    database.run("UPDATE sqlite_sequence SET seq = ? WHERE name = 'snapshots'", next);
    return next;
  }

  #linkParent(key: string, parent: string | undefined): void {
    if (parent === undefined) return;
    this.objects.link("snapshot", this.objectKey(key), "snapshot", this.objectKey(parent), "parent");
  }

  /** Makes the active row a committed one under another key. */
  commit(row: SnapshotRow, name: string, parent: string | undefined, labels: Labels): void {
    const { database } = this.objects;
    this.objects.forget("snapshot", this.objectKey(row.key));
    const now = wallTimeMs();
    database.run(
      "UPDATE snapshots SET key = ?, kind = 'committed', parent = ?, created = ?, updated = ? WHERE id = ?",
      name,
      parent ?? null,
      now,
      now,
      row.id,
    );
    this.objects.initLabels("snapshot", this.objectKey(name), labels);
    this.#linkParent(name, parent);
  }

  /** Deletes a row. Throws `FailedPrecondition` where it has children. */
  delete(row: SnapshotRow): void {
    const { database, namespace } = this.objects;
    const child = database.get<{ key: string }>(
      "SELECT key FROM snapshots WHERE namespace = ? AND snapshotter = ? AND parent = ? LIMIT 1",
      namespace,
      this.snapshotter,
      row.key,
    );
    if (child !== undefined) {
      throw new Failure("FailedPrecondition", "cannot remove snapshot with child", {
        cause: new Error(`"${child.key}" stands on "${row.key}"`),
      });
    }
    database.run("DELETE FROM snapshots WHERE id = ?", row.id);
    this.objects.forget("snapshot", this.objectKey(row.key));
  }

  /** Keeps the usage of a committed snapshot, which cannot change any more. */
  keepUsage(id: number, usage: Usage): void {
    const sql = "UPDATE snapshots SET size = ?, inodes = ? WHERE id = ? AND kind = 'committed'";
    this.objects.database.run(sql, usage.size, usage.inodes, id);
  }

  /** Replaces the labels. */
  setLabels(row: SnapshotRow, labels: Labels): void {
    this.objects.setLabels("snapshot", this.objectKey(row.key), labels);
    this.objects.database.run("UPDATE snapshots SET updated = ? WHERE id = ?", wallTimeMs(), row.id);
  }

  /** Labels of a row. */
  labels({ key }: SnapshotRow): Labels {
    return this.objects.labels("snapshot", this.objectKey(key));
  }

  /** All snapshots in byte order of their keys, in pages. */
  pages<Info>(info: (row: SnapshotRow, labels: Labels) => Info, signal?: AbortSignal): AsyncGenerator<Info[]> {
    // Names of snapshotters come from the table of forms and from no stranger; the key's part of an object key follows
    // its name and a slash. SQL counts from 1.
    const sql = `SELECT ${columns} FROM snapshots WHERE namespace = ? AND snapshotter = '${this.snapshotter}' ` +
      `AND key > substr(?, ${this.snapshotter.length + 2}) ORDER BY key LIMIT ?`;
    const source: PageSource<SnapshotRow, Info> = {
      kind: "snapshot",
      sql,
      keyOf: ({ key }) => this.objectKey(key),
      info,
    };
    return pagesOf(this.objects, source, signal);
  }
}

/** What a row means to others. */
export function infoOf({ key, kind, parent, created, updated }: SnapshotRow, labels: Labels): SnapshotInfo {
  return { key, kind, ...(parent === null ? {} : { parent }), created, updated, labels };
}
