import { deepEqual, equal, rejects } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { salvage } from "../doctor/salvage.ts";
import { Database } from "./database.ts";
import { migrations, newSchema } from "./schema.ts";

/** The version whose times are whole milliseconds. */
const coarse = 3;
/** Of the tables that have times: a row of each, and one of other times. 0001-01-01 is what an image may be told. */
const rows: Readonly<Record<string, Record<string, string | number | null | Uint8Array>[]>> = {
  images: [
    { name: "i", media_type: "m", digest: "d", size: 7, annotations: null, created: 1_700_000_000_123, updated: 1 },
    { name: "j", media_type: "m", digest: "d", size: 7, annotations: "{}", created: -62_135_596_800_000, updated: 0 },
  ],
  containers: [
    {
      ...{ id: "c", image: "i", snapshotter: "overlayfs", snapshot_key: "k", spec_path: null },
      ...{ created: 1_700_000_000_123, updated: 1_700_000_000_124, runtime: "r" },
      ...{ runtime_options: new Uint8Array([1]), spec: new Uint8Array([2, 3]), extensions: null, sandbox: "s" },
    },
  ],
  blobs: [{ digest: "d", size: 7, created: 253_402_300_799_999, updated: 1_700_000_000_124 }],
  snapshots: [
    {
      ...{ id: 41, snapshotter: "overlayfs", key: "k", kind: "active", parent: null, size: null, inodes: null },
      ...{ created: 1_700_000_000_123, updated: 1_700_000_000_124 },
    },
  ],
  leases: [{ id: "l", owned: 0, expires: 1_800_000_000_000, created: 1_700_000_000_123 }],
  sandboxes: [
    {
      ...{ id: "s", sandboxer: "a", runtime: "r", runtime_options: null, spec: new Uint8Array([4]) },
      ...{ extensions: null, created: 1_700_000_000_123, updated: 1_700_000_000_124 },
    },
  ],
};

async function inTempDir(body: (path: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "barge-schema-" });
  try {
    await body(`${directory}/meta.db`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Makes a database as an earlier barge has left it. */
function makeOld(path: string, version = coarse): void {
  using database = new DatabaseSync(path);
  for (const migration of migrations.slice(0, version)) database.exec(migration);
  database.exec(`PRAGMA user_version = ${version}; PRAGMA journal_mode = WAL`);
  for (const [table, all] of Object.entries(rows)) {
    for (const row of all) {
      const places = Object.keys(row).map(() => "?").join(", ");
      const names = Object.keys(row).join(", ");
      database.prepare(`INSERT INTO ${table} (namespace, ${names}) VALUES ('n', ${places})`).run(...Object.values(row));
    }
  }
}

/** All rows with times, without their namespace. */
function readAll(all: (sql: string) => object[]): unknown {
  return Object.fromEntries(
    Object.keys(rows).map((table) => [
      table,
      // SQLite's rows have no prototype.
      all(`SELECT * FROM ${table}`).map((row) => ({ ...row })).map((row) => {
        delete (row as { namespace?: string }).namespace;
        return row;
      }),
    ]),
  );
}

Deno.test("Database.open() keeps all rows and times of a schema with whole milliseconds, and takes finer ones then", () =>
  inTempDir(async (path) => {
    makeOld(path);
    const fine = 1_796_150_423_016.43;
    {
      using database = await Database.open(path);
      deepEqual(readAll((sql) => database.all(sql)), rows);
      await database.transaction(() => {
        for (const table of Object.keys(rows)) database.run(`UPDATE ${table} SET created = ?`, fine);
        // The id of a snapshot that was removed does not come back.
        database.run("DELETE FROM snapshots");
        database.run(
          "INSERT INTO snapshots (namespace, snapshotter, key, kind, created, updated) VALUES ('n', 's', 'k', 'view', ?, ?)",
          ...[fine, fine],
        );
      });
    }
    using database = await Database.open(path);
    for (const table of Object.keys(rows)) {
      for (const { created } of database.all<{ created: number }>(`SELECT created FROM ${table}`)) equal(created, fine);
    }
    equal(database.get<{ id: number }>("SELECT id FROM snapshots")!.id, 42);
    equal(database.get<{ user_version: number }>("PRAGMA user_version")!.user_version, migrations.length);
  }));

Deno.test("Database.open() that cannot bring the schema up to date leaves it as it was, and can try again", () =>
  inTempDir(async (path) => {
    makeOld(path);
    {
      using raw = new DatabaseSync(path);
      // One of the last tables that are changed.
      raw.exec("CREATE TRIGGER stop BEFORE UPDATE ON leases BEGIN SELECT RAISE(ABORT, 'stopped'); END");
    }
    await rejects(Database.open(path), /stopped/);
    {
      using raw = new DatabaseSync(path);
      equal(raw.prepare("PRAGMA user_version").get()!["user_version"], coarse);
      deepEqual(readAll((sql) => raw.prepare(sql).all()), rows);
      equal(
        raw.prepare("SELECT 1 FROM pragma_table_info('images') WHERE name = 'created' AND type = 'INTEGER'").all()
          .length,
        1,
      );
      raw.exec("DROP TRIGGER stop");
    }
    using database = await Database.open(path);
    deepEqual(readAll((sql) => database.all(sql)), rows);
  }));

Deno.test("salvage() reads what an earlier barge has written, also where the page with its schema is lost", () =>
  inTempDir(async (path) => {
    for (const tear of [false, true]) {
      makeOld(path);
      if (tear) {
        new DatabaseSync(path).close();
        const bytes = Deno.readFileSync(path);
        Deno.writeFileSync(path, bytes.fill(0xa5, 0, 4096));
      }
      deepEqual(salvage(path).incomplete, []);
      {
        using database = await Database.open(path);
        deepEqual(readAll((sql) => database.all(sql)), rows);
      }
      for (const suffix of ["", "-wal", "-shm"]) await Deno.remove(path + suffix).catch(() => {});
    }
  }));

Deno.test("migrations keep the columns of each table in their places", () =>
  inTempDir((path) => {
    const columns = (version: number): Record<string, string[]> => {
      using database = new DatabaseSync(`${path}-${version}`);
      for (const migration of migrations.slice(0, version)) database.exec(migration);
      const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rootpage").all();
      return Object.fromEntries(tables.map(({ name }) => [
        String(name),
        database.prepare(`SELECT name FROM pragma_table_info('${name}')`).all().map((row) => String(row["name"])),
      ]));
    };
    const last = Object.entries(columns(migrations.length));
    const before = Object.entries(columns(coarse));
    // What is added comes last.
    deepEqual(
      last.slice(0, before.length).map(([table, names], at) => [table, names.slice(0, before[at]![1].length)]),
      before,
    );
    return Promise.resolve();
  }));

Deno.test("newSchema makes what the migrations make, on the same pages", () => {
  const made = (steps: readonly string[]) => {
    using database = new DatabaseSync(":memory:");
    for (const step of steps) database.exec(step);
    return database.prepare("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema ORDER BY rowid").all();
  };
  deepEqual(made([newSchema]), made(migrations));
});
