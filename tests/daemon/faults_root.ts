/**
 * What must hold for a root after its daemon was killed and another one has started.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { barge, execute, succeed } from "../command.ts";
import { DaemonClient } from "./daemon_client.ts";
import type { TestDaemon } from "./daemon_fixture.ts";

const databasePart = "io.barge.metadata.v1.sqlite/meta.db";
const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name);

/** What a killed daemon leaves in directories that are empty else, in words. No daemon changes the root meanwhile. */
export function debris(root: string): string[] {
  const found: string[] = [];
  if (names(`${root}/trash`).length > 0) found.push("something in the trash");
  if (names(`${root}/io.containerd.content.v1.content/ingest`).length > 0) found.push("an unfinished write");
  const snapshots = names(`${root}/io.containerd.snapshotter.v1.overlayfs/snapshots`);
  if (snapshots.some((name) => name.startsWith("new-"))) found.push("a new directory");
  using database = new DatabaseSync(`${root}/${databasePart}`);
  const count = (sql: string) => Number(database.prepare(sql).get()!["n"]);
  const files = names(`${root}/io.containerd.content.v1.content/blobs/sha256`).length;
  const rows = count("SELECT count(DISTINCT digest) AS n FROM blobs");
  if (files !== rows) found.push(files > rows ? "a file without a row" : "a row without a file");
  const snapshotRows = count("SELECT count(*) AS n FROM snapshots");
  const directories = snapshots.filter((name) => /^\d+$/.test(name)).length;
  if (directories !== snapshotRows) {
    found.push(directories > snapshotRows ? "a directory without a row" : "a row without a directory");
  }
  return found;
}

/** Rows that belong to objects which do not exist. */
const strayQuery = [["image", "images", "name"], ["container", "containers", "id"], ["lease", "leases", "id"], [
  "content",
  "blobs",
  "digest",
], ["snapshot", "snapshots", "snapshotter || '/' || key"]]
  .map(([kind, table, key]) =>
    `SELECT kind, t.key AS key FROM (SELECT namespace, kind, key FROM labels
      UNION SELECT namespace, from_kind, from_key FROM refs) AS t
     WHERE kind = '${kind}' AND NOT EXISTS (
       SELECT 1 FROM ${table} AS o WHERE o.namespace = t.namespace AND ${key!.replace(/\bkey\b/, "o.key")} = t.key)`
  ).join(" UNION ALL ");

/** Checks that nothing is there that does not belong there. The daemon is idle. */
export async function checkRoot(daemon: TestDaemon): Promise<void> {
  const { root } = daemon;
  using collector = new DaemonClient(daemon.address, "collector");
  // Whatever the last daemon left goes with the first collection.
  await collector.collect();
  assert.deepEqual(debris(root), []);
  const { stdout, stderr } = await execute([...barge, "doctor", "--root", root, "--hash"]);
  assert.equal(stdout, `${root}: nothing is wrong\n`, stderr);
  using database = new DatabaseSync(`${root}/${databasePart}`, { readOnly: true });
  assert.deepEqual(database.prepare(strayQuery).all(), []);
}

/** Checks that `barge df` adds up to what the disk says. */
export async function checkAccount(root: string): Promise<void> {
  const { total, rows } = JSON.parse(await succeed([...barge, "df", "--json", "--root", root])) as {
    readonly total: number;
    readonly rows: readonly { readonly size: number }[];
  };
  assert.equal(rows.reduce((sum, { size }) => sum + size, 0), total);
  assert.equal(total, Number((await succeed(["du", "-s", "-B1", root])).split("\t")[0]));
}

/** Throws unfinished writes of the client's namespace away. */
export async function abortWrites(client: DaemonClient): Promise<void> {
  for (const { ref } of (await client.content.listStatuses({ filters: [] })).statuses) {
    await client.content.abort({ ref });
  }
}
