import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Failure } from "../../api/errors.ts";
import { Database } from "./database.ts";
import { migrations } from "./schema.ts";

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-db-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const addNamespace = "INSERT INTO namespaces VALUES (?)";
const count = (db: Database) => db.get<{ n: number }>("SELECT count(*) AS n FROM namespaces")!.n;

Deno.test("Database.open() makes the schema, in WAL mode with full synchronisation, and finds it again", () =>
  inTempDir(async (dir) => {
    {
      using db = await Database.open(`${dir}/meta.db`);
      await db.transaction(() => db.run(addNamespace, "default"));
      assert.equal(db.get<{ journal_mode: string }>("PRAGMA journal_mode")!.journal_mode, "wal");
      assert.equal(db.get<{ synchronous: number }>("PRAGMA synchronous")!.synchronous, 2);
    }
    using db = await Database.open(`${dir}/meta.db`);
    assert.equal(count(db), 1);
  }));

Deno.test("Database.open() of eight openers at once makes one schema", () =>
  inTempDir(async (dir) => {
    const opened = await Promise.all(Array.from({ length: 8 }, () => Database.open(`${dir}/meta.db`)));
    for (const db of opened) {
      assert.equal(db.get<{ user_version: number }>("PRAGMA user_version")!.user_version, migrations.length);
      db.close();
    }
  }));

Deno.test("Database.open() refuses the schema of a newer barge and leaves it alone", () =>
  inTempDir(async (dir) => {
    (await Database.open(`${dir}/meta.db`)).close();
    const raw = new DatabaseSync(`${dir}/meta.db`);
    raw.exec("PRAGMA user_version = 1000");
    await assert.rejects(
      Database.open(`${dir}/meta.db`),
      (e) => e instanceof Failure && e.code === "FailedPrecondition" && /schema 1000/.test(e.message),
    );
    assert.equal(raw.prepare("PRAGMA user_version").get()!["user_version"], 1000);
    raw.close();
  }));

Deno.test("Database.open() says that a file is not a database", () =>
  inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/meta.db`, "something else ".repeat(1000));
    await assert.rejects(Database.open(`${dir}/meta.db`), (e) => e instanceof Failure && e.code === "DataLoss");
  }));

Deno.test("Database.transaction() rolls back and undoes, last step first, when its body throws", () =>
  inTempDir(async (dir) => {
    using db = await Database.open(`${dir}/meta.db`);
    const undone: number[] = [];
    await assert.rejects(
      db.transaction((undo) => {
        db.run(addNamespace, "a");
        undo.push(() => undone.push(1), () => undone.push(2));
        throw new RangeError("stop");
      }),
      RangeError,
    );
    assert.equal(count(db), 0);
    assert.deepEqual(undone, [2, 1]);
  }));

Deno.test("Database.transaction() waits for another's write lock without stopping the event loop", () =>
  inTempDir(async (dir) => {
    using db = await Database.open(`${dir}/meta.db`);
    const other = new DatabaseSync(`${dir}/meta.db`);
    other.exec("BEGIN IMMEDIATE");
    let ticks = 0;
    const ticker = setInterval(() => ticks++, 5);
    const waiting = db.transaction(() => db.run(addNamespace, "late"));
    await new Promise((resolve) => setTimeout(resolve, 300));
    other.exec("COMMIT");
    await waiting;
    clearInterval(ticker);
    other.close();
    assert.equal(count(db), 1);
    assert.ok(ticks > 5, `only ${ticks} timer ticks in 300 ms`);
  }));

Deno.test("Database.transaction() that waits for a lock ends when its signal says so", () =>
  inTempDir(async (dir) => {
    using db = await Database.open(`${dir}/meta.db`);
    const other = new DatabaseSync(`${dir}/meta.db`);
    other.exec("BEGIN IMMEDIATE");
    await assert.rejects(db.transaction(() => 0, { signal: AbortSignal.timeout(50) }), { name: "TimeoutError" });
    other.exec("ROLLBACK");
    other.close();
  }));

Deno.test("Database.transaction() waits for the disk unless it is told not to", () =>
  inTempDir(async (dir) => {
    using db = await Database.open(`${dir}/meta.db`);
    const level = () => db.get<{ synchronous: number }>("PRAGMA synchronous")!.synchronous;
    await db.transaction(() => db.run(addNamespace, "a"), { durable: false });
    assert.equal(level(), 1);
    await db.transaction(() => db.run(addNamespace, "b"));
    assert.equal(level(), 2);
    assert.equal(count(db), 2);
  }));
