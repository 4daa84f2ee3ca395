import { deepEqual, equal, ok } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { makeEmptyDatabase, makeReadableCopy } from "./readable_copy.ts";

const pageBytes = 4096;
const rows = 2_000;

/** Runs the body with a database of many namespaces that `tear` changes, and gives how many can be read of its copy. */
async function readable(
  tear: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
): Promise<number | undefined> {
  const directory = await Deno.makeTempDir({ prefix: "barge-doctor-" });
  try {
    const [path, copy, empty] = ["torn", "copy", "empty"].map((name) => `${directory}/${name}`) as [
      string,
      string,
      string,
    ];
    makeEmptyDatabase(path);
    makeEmptyDatabase(empty);
    {
      using database = new DatabaseSync(path);
      database.exec("BEGIN");
      const insert = database.prepare("INSERT INTO namespaces VALUES (?)");
      for (let n = 0; n < rows; n++) insert.run(`namespace-${String(n).padStart(6, "0")}`);
      database.exec("COMMIT");
    }
    const before = tear(Deno.readFileSync(path));
    Deno.writeFileSync(path, before);
    const isReadable = makeReadableCopy(path, copy, empty);
    deepEqual(Deno.readFileSync(path), before);
    if (!isReadable) return undefined;
    using database = new DatabaseSync(copy, { readOnly: true });
    let count = 0;
    try {
      for (const _ of database.prepare("SELECT name FROM namespaces ORDER BY name").iterate()) count++;
    } catch {
      // Here the torn part begins.
    }
    return count;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("makeReadableCopy() of a whole database has everything", async () => {
  equal(await readable((bytes) => bytes), rows);
});

Deno.test("makeReadableCopy() reads a database without its header or its first page", async () => {
  for (const count of [16, 100, pageBytes]) equal(await readable((bytes) => bytes.fill(0xa5, 0, count)), rows);
});

Deno.test("makeReadableCopy() reads a database that was cut as far as its pages are there", async () => {
  const count = await readable((bytes) => bytes.slice(0, bytes.length - 3 * pageBytes - 7));
  ok(count !== undefined && count > 0 && count < rows, `${count} rows`);
  // Tables begin on pages that are not there.
  equal(await readable((bytes) => bytes.slice(0, 4 * pageBytes)) !== undefined, true);
});

Deno.test("makeReadableCopy() finds nothing in what is no database", async () => {
  equal(await readable((bytes) => bytes.slice(0, 0)), undefined);
  equal(await readable((bytes) => bytes.slice(0, 1000)), undefined);
  equal(await readable(() => new TextEncoder().encode("text")), undefined);
});
