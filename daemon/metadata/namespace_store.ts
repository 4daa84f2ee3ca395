/**
 * Namespaces: the first object that is made in one makes it exist, and so does whoever gives it labels.
 *
 * @module
 */
import type { Database } from "./database.ts";
import type { Labels } from "./label_refs.ts";
import { Objects } from "./objects.ts";

/** A namespace as stored. */
export interface NamespaceInfo {
  readonly name: string;
  readonly labels: Labels;
}

/** What keeps a namespace from being deleted: table → how containerd calls its objects. */
const contents = { images: "images", blobs: "blobs", containers: "containers" } as const;

/** All namespaces of a root. What ends in `Inside` runs inside `Database.read` or a transaction. */
export class NamespaceStore {
  constructor(readonly database: Database) {}

  /** Whether the namespace exists. */
  existsInside(name: string): boolean {
    return this.database.get("SELECT 1 FROM namespaces WHERE name = ?", name) !== undefined;
  }

  /** Its labels; empty where it has none or does not exist. */
  labelsInside(name: string): Labels {
    return new Objects(this.database, name).labels("namespace", name);
  }

  /** All namespaces, by name. */
  listInside(): NamespaceInfo[] {
    const rows = this.database.all<{ name: string; label: string | null; value: string | null }>(
      "SELECT n.name, l.label, l.value FROM namespaces n " +
        "LEFT JOIN labels l ON l.namespace = n.name AND l.kind = 'namespace' AND l.key = n.name ORDER BY n.name",
    );
    const found = new Map<string, Record<string, string>>();
    for (const { name, label, value } of rows) {
      let labels = found.get(name);
      if (labels === undefined) found.set(name, labels = {});
      if (label !== null && value !== null) labels[label] = value;
    }
    return [...found].map(([name, labels]) => ({ name, labels }));
  }

  /** Makes it, in a transaction; says whether there was none of the name. Throws `InvalidArgument` for labels. */
  insertInside(name: string, labels: Labels): boolean {
    if (this.database.run("INSERT OR IGNORE INTO namespaces VALUES (?)", name) === 0) return false;
    new Objects(this.database, name).initLabels("namespace", name, labels);
    return true;
  }

  /** Replaces its labels, in a transaction, and makes it where there are any. Throws `InvalidArgument` for labels. */
  setLabelsInside(name: string, labels: Labels): void {
    const objects = new Objects(this.database, name);
    if (Object.values(labels).some((value) => value !== "")) objects.enterNamespace();
    objects.setLabels("namespace", name, labels);
  }

  /** What is in it that keeps it from being deleted, in containerd's words: such as `images`. */
  contentsInside(name: string): string[] {
    const { database } = this;
    const kinds = Object.entries(contents)
      .filter(([table]) => database.get(`SELECT 1 FROM ${table} WHERE namespace = ? LIMIT 1`, name) !== undefined)
      .map(([, text]) => text as string);
    const snapshotters = database.all<{ snapshotter: string }>(
      "SELECT DISTINCT snapshotter FROM snapshots WHERE namespace = ? ORDER BY snapshotter",
      name,
    );
    return [...kinds, ...snapshotters.map(({ snapshotter }) => `snapshots on "${snapshotter}" snapshotter`)];
  }

  /**
   * Deletes an empty namespace, in a transaction, with its leases and sandboxes; says whether there was one. Its
   * unfinished writes are expired then: `ContentStore.discardExpiredIngests` removes them.
   */
  deleteInside(name: string): boolean {
    const { database } = this;
    if (database.run("DELETE FROM namespaces WHERE name = ?", name) === 0) return false;
    for (const table of ["leases", "sandboxes"]) database.run(`DELETE FROM ${table} WHERE namespace = ?`, name);
    for (const table of ["labels", "refs"]) database.run(`DELETE FROM ${table} WHERE namespace = ?`, name);
    database.run("UPDATE ingests SET expires = 0 WHERE namespace = ?", name);
    database.noteDeletion();
    return true;
  }
}
