/**
 * The metadata database's tables, as ordered migrations.
 *
 * Everything that has a name is a row, and every reference between named things is a row of `refs`, so that "what
 * keeps this alive?" is a query. Objects are named by namespace, kind and key:
 *
 * | kind | key |
 * | --- | --- |
 * | `image` | name |
 * | `container`, `lease` | id |
 * | `content` | digest |
 * | `ingest` | ref |
 * | `snapshot` | `snapshotter/key` |
 * | `sandbox` | id |
 * | `namespace` | its own name |
 *
 * A lease holds its resources by rows of `refs` as well. A label `containerd.io/gc.bref.…` is a row from the object that it
 * names to the one that has it; it stays while the former is missing, and counts for nothing then. Labels with
 * conditions (`containerd.io/gc.cond.…`) and times (`containerd.io/gc.expire`) are read as labels when garbage is
 * collected. Times are milliseconds since 1970, those of expiry whole ones.
 *
 * @module
 */

/**
 * The text that gives columns another type. They are a table's last ones, in their order, so that all keep their places:
 * rows of a damaged file are still read where only its first page, with the schema, is lost.
 */
function retype(table: string, columns: Readonly<Record<string, string>>): string {
  const names = Object.keys(columns);
  return [
    ...names.map((name) => `ALTER TABLE ${table} ADD COLUMN new_${name} ${columns[name]}`),
    `UPDATE ${table} SET ${names.map((name) => `new_${name} = ${name}`).join(", ")}`,
    ...names.map((name) => `ALTER TABLE ${table} DROP COLUMN ${name}`),
    ...names.map((name) => `ALTER TABLE ${table} RENAME COLUMN new_${name} TO ${name}`),
    "",
  ].join(";\n");
}

const fineTime = "REAL NOT NULL DEFAULT 0";
const fineTimes = { created: fineTime, updated: fineTime };

/** Migration `n` (from 0) takes the schema from version `n` to `n + 1`; a published one never changes. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE namespaces (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

  CREATE TABLE images (
    namespace TEXT NOT NULL, name TEXT NOT NULL,
    media_type TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
    annotations TEXT, -- of the target descriptor, as JSON
    created INTEGER NOT NULL, updated INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE containers (
    namespace TEXT NOT NULL, id TEXT NOT NULL,
    image TEXT, snapshotter TEXT, snapshot_key TEXT,
    spec_path TEXT,
    created INTEGER NOT NULL, updated INTEGER NOT NULL,
    PRIMARY KEY (namespace, id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE blobs (
    namespace TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
    created INTEGER NOT NULL, updated INTEGER NOT NULL,
    PRIMARY KEY (namespace, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX blobs_by_digest ON blobs (digest);

  CREATE TABLE ingests (
    namespace TEXT NOT NULL, ref TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (namespace, ref)
  ) STRICT, WITHOUT ROWID;

  -- The id names the directory. AUTOINCREMENT: the id of a removed snapshot never comes back.
  CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace TEXT NOT NULL, snapshotter TEXT NOT NULL, key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('active', 'view', 'committed')),
    parent TEXT,
    size INTEGER, inodes INTEGER, -- of a committed one
    created INTEGER NOT NULL, updated INTEGER NOT NULL,
    UNIQUE (namespace, snapshotter, key)
  ) STRICT;
  CREATE INDEX snapshots_by_parent ON snapshots (namespace, snapshotter, parent);

  -- An owned lease lives as long as the process that holds the lock of its file.
  CREATE TABLE leases (
    namespace TEXT NOT NULL, id TEXT NOT NULL,
    owned INTEGER NOT NULL, expires INTEGER,
    created INTEGER NOT NULL,
    PRIMARY KEY (namespace, id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE labels (
    namespace TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    label TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (namespace, kind, key, label)
  ) STRICT, WITHOUT ROWID;

  -- "name" is why: a label's key, or parent, rootfs, target, lease.
  CREATE TABLE refs (
    namespace TEXT NOT NULL,
    from_kind TEXT NOT NULL, from_key TEXT NOT NULL,
    to_kind TEXT NOT NULL, to_key TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (namespace, from_kind, from_key, to_kind, to_key, name)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX refs_by_target ON refs (namespace, to_kind, to_key);
  `,
  `
  -- Messages of the API are kept as they came: an Any in its wire form, extensions as a Container with those only.
  ALTER TABLE containers ADD COLUMN runtime TEXT;
  ALTER TABLE containers ADD COLUMN runtime_options BLOB;
  ALTER TABLE containers ADD COLUMN spec BLOB;
  ALTER TABLE containers ADD COLUMN extensions BLOB;
  ALTER TABLE containers ADD COLUMN sandbox TEXT;

  CREATE TABLE sandboxes (
    namespace TEXT NOT NULL, id TEXT NOT NULL,
    sandboxer TEXT NOT NULL, runtime TEXT NOT NULL, runtime_options BLOB,
    spec BLOB, extensions BLOB,
    created INTEGER NOT NULL, updated INTEGER NOT NULL,
    PRIMARY KEY (namespace, id)
  ) STRICT, WITHOUT ROWID;

  -- What an unfinished write will be, where its writer has said so.
  ALTER TABLE ingests ADD COLUMN expected TEXT;

  -- Directories of snapshots that a stock containerd may have used before: what has an id up to foreign_max there is
  -- not ours. root_path is empty for the place within the root.
  CREATE TABLE snapshot_roots (
    snapshotter TEXT NOT NULL, root_path TEXT NOT NULL, foreign_max INTEGER NOT NULL,
    PRIMARY KEY (snapshotter, root_path)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO snapshot_roots SELECT name, '', 0 FROM (SELECT 'overlayfs' AS name UNION ALL SELECT 'native')
    WHERE EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'snapshots');
  `,
  `
  -- Files of blobs that a stock containerd on the same root has written, and that were not adopted: they stay when the last
  -- row of ours goes.
  CREATE TABLE foreign_blobs (digest TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  `,
  // Clients compare times that lie less than a millisecond apart.
  [
    ...["images", "blobs", "snapshots", "sandboxes"].map((table) => retype(table, fineTimes)),
    retype("leases", { created: fineTime }),
    retype("containers", {
      ...fineTimes,
      runtime: "TEXT",
      runtime_options: "BLOB",
      spec: "BLOB",
      extensions: "BLOB",
      sandbox: "TEXT",
    }),
  ].join(""),
];

/**
 * What makes the whole schema in a new database, as the migrations do one after another: to give columns of empty tables
 * another type takes longer than all the rest. A migration that is added is added here as well.
 */
export const newSchema: string = migrations.slice(0, 3).join("")
  .replaceAll(/\b(created|updated) INTEGER NOT NULL/g, `$1 ${fineTime}`);
