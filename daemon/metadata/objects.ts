/**
 * What all objects of a namespace have in common: labels, references, and being held by leases.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Database } from "./database.ts";
import {
  backRefPrefix,
  checkLabelNames,
  checkLabels,
  labelBackRefs,
  labelRefs,
  type Labels,
  type ObjectKind,
  refPrefix,
} from "./label_refs.ts";

/** Labels and references of one namespace's objects. Methods that change something run inside a transaction. */
export class Objects {
  constructor(readonly database: Database, readonly namespace: string) {}

  /** Labels of an object; empty where it has none. */
  labels(kind: ObjectKind, key: string): Record<string, string> {
    const rows = this.database.all<{ label: string; value: string }>(
      "SELECT label, value FROM labels WHERE namespace = ? AND kind = ? AND key = ?",
      this.namespace,
      kind,
      key,
    );
    return Object.fromEntries(rows.map(({ label, value }) => [label, value]));
  }

  /**
   * Labels of the objects with keys from `first` to `last`, by key: one query for a page of a list. Objects without
   * labels are not in it.
   */
  labelsBetween(kind: ObjectKind, first: string, last: string): Map<string, Record<string, string>> {
    const byKey = new Map<string, Record<string, string>>();
    const rows = this.database.rows<[key: string, label: string, value: string]>(
      "SELECT key, label, value FROM labels WHERE namespace = ? AND kind = ? AND key >= ? AND key <= ?",
      this.namespace,
      kind,
      first,
      last,
    );
    // Rows come by key: that of the row before is most often the same.
    let at: string | undefined;
    let labels: Record<string, string> = {};
    for (const [key, label, value] of rows) {
      if (key !== at) byKey.set(at = key, labels = {});
      labels[label] = value;
    }
    return byKey;
  }

  /** Keys of the objects of a kind that have this label, in order. It looks at all labels of the kind, some 14 a µs. */
  keysLabelled(kind: ObjectKind, label: string, value: string): string[] {
    return this.database.rows<[key: string]>(
      "SELECT key FROM labels WHERE namespace = ? AND kind = ? AND label = ? AND value = ? ORDER BY key",
      this.namespace,
      kind,
      label,
      value,
    ).map(([key]) => key);
  }

  /**
   * Gives an object that is new its labels, and the references that they make. An empty value is no label. Throws
   * `InvalidArgument` for a label that is too long (those of leases may have any length, as in containerd), and `Unknown`
   * for one without a name.
   */
  initLabels(kind: ObjectKind, key: string, labels: Labels): void {
    if (kind !== "lease") checkLabels(labels);
    checkLabelNames(labels, kind, key);
    const kept: Record<string, string> = {};
    let refers = false;
    for (const [label, value] of Object.entries(labels)) {
      if (value === "") continue;
      kept[label] = value;
      refers ||= label.startsWith(refPrefix) || label.startsWith(backRefPrefix);
      this.database.run("INSERT INTO labels VALUES (?, ?, ?, ?, ?)", this.namespace, kind, key, label, value);
    }
    if (!refers) return;
    for (const ref of labelRefs(kept)) this.link(kind, key, ref.kind, ref.key, ref.name);
    // An edge from the other object, which need not exist: it counts only while that lives.
    for (const ref of labelBackRefs(kept)) this.link(ref.kind, ref.key, kind, key, ref.name);
  }

  /** Replaces the labels and the references that they make. */
  setLabels(kind: ObjectKind, key: string, labels: Labels): void {
    this.#forgetLabels(kind, key);
    this.database.run(
      `DELETE FROM refs WHERE namespace = ? AND from_kind = ? AND from_key = ? AND name GLOB '${refPrefix}*'`,
      this.namespace,
      kind,
      key,
    );
    this.initLabels(kind, key, labels);
  }

  /** Takes away labels and the back references that they make. */
  #forgetLabels(kind: ObjectKind, key: string): void {
    const { database, namespace } = this;
    database.run("DELETE FROM labels WHERE namespace = ? AND kind = ? AND key = ?", namespace, kind, key);
    database.run(
      `DELETE FROM refs WHERE namespace = ? AND to_kind = ? AND to_key = ? AND name GLOB '${backRefPrefix}*'`,
      namespace,
      kind,
      key,
    );
  }

  /** Adds or changes some labels and keeps the others. */
  addLabels(kind: ObjectKind, key: string, labels: Labels): void {
    this.setLabels(kind, key, { ...this.labels(kind, key), ...labels });
  }

  /** Makes one object refer to another; `name` says why. The other need not exist. */
  link(kind: ObjectKind, key: string, toKind: ObjectKind, toKey: string, name: string): void {
    const { database, namespace } = this;
    database.run("INSERT OR IGNORE INTO refs VALUES (?, ?, ?, ?, ?, ?)", namespace, kind, key, toKind, toKey, name);
  }

  /** Takes away all references of this name that the object has. */
  unlink(kind: ObjectKind, key: string, name: string): void {
    this.database.run(
      "DELETE FROM refs WHERE namespace = ? AND from_kind = ? AND from_key = ? AND name = ?",
      this.namespace,
      kind,
      key,
      name,
    );
  }

  /**
   * Puts an object under a lease, which keeps it alive; without a lease nothing happens. Throws `NotFound` where the
   * lease is gone, as its holder can rely on nothing then.
   */
  hold(lease: string | undefined, kind: ObjectKind, key: string): void {
    if (lease === undefined) return;
    if (!this.hasLease(lease)) throw new Failure("NotFound", "lease does not exist");
    this.link("lease", lease, kind, key, "lease");
  }

  /** Whether the namespace has the lease. Inside `Database.read` or a transaction. */
  hasLease(lease: string): boolean {
    const { database, namespace } = this;
    return database.get("SELECT id FROM leases WHERE namespace = ? AND id = ?", namespace, lease) !== undefined;
  }

  /** Takes an object off all leases. */
  release(kind: ObjectKind, key: string): void {
    this.database.run(
      "DELETE FROM refs WHERE namespace = ? AND to_kind = ? AND to_key = ? AND from_kind = 'lease'",
      this.namespace,
      kind,
      key,
    );
  }

  /**
   * Forgets labels, references and leases of an object that is removed. Back references are their holders', and stay for
   * another object of this name.
   */
  forget(kind: ObjectKind, key: string): void {
    const { database, namespace } = this;
    this.#forgetLabels(kind, key);
    database.run(
      `DELETE FROM refs WHERE namespace = ? AND from_kind = ? AND from_key = ? AND name NOT GLOB '${backRefPrefix}*'`,
      namespace,
      kind,
      key,
    );
    this.release(kind, key);
    database.noteDeletion();
  }

  /** Records the namespace, as the first object in it makes it exist. */
  enterNamespace(): void {
    this.database.run("INSERT OR IGNORE INTO namespaces VALUES (?)", this.namespace);
  }
}
