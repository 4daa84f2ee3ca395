/**
 * The daemon is killed at random moments while clients change everything it keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { barge, execute, succeed, systemTest } from "../command.ts";
import { makeScratch, randomNumbers } from "../scratch.ts";
import { DaemonClient } from "./daemon_client.ts";
import { removeAll, startDaemon, type TestDaemon } from "./daemon_fixture.ts";
import { Load } from "./faults_load.ts";

const kills = 15;
const loads = 5;
const databasePart = "io.barge.metadata.v1.sqlite/meta.db";
const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name);

/** What a killed daemon leaves in directories that are empty else. */
function debris(root: string): string[] {
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
  if (snapshots.filter((name) => /^\d+$/.test(name)).length !== snapshotRows) found.push("a directory without a row");
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

/** Nothing is there that does not belong there. The daemon is idle. */
async function checkRoot(daemon: TestDaemon): Promise<void> {
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

async function checkAccount(root: string): Promise<void> {
  const { total, rows } = JSON.parse(await succeed([...barge, "df", "--json", "--root", root])) as {
    readonly total: number;
    readonly rows: readonly { readonly size: number }[];
  };
  assert.equal(rows.reduce((sum, { size }) => sum + size, 0), total);
  assert.equal(total, Number((await succeed(["du", "-s", "-B1", root])).split("\t")[0]));
}

async function abortWrites(client: DaemonClient): Promise<void> {
  for (const { ref } of (await client.content.listStatuses({ filters: [] })).statuses) {
    await client.content.abort({ ref });
  }
}

systemTest(
  `barge daemon that is killed ${kills} times under load keeps what it answered, and leaves nothing else`,
  ["du"],
  async () => {
    const random = randomNumbers("kill the daemon");
    await using scratch = await makeScratch();
    const directory = `${scratch.path}/daemon`;
    await Deno.mkdir(directory);
    const all = Array.from({ length: loads }, (_, index) => new Load(`n${index}`, random));
    const met = new Map<string, number>();
    const note = (what: string) => met.set(what, (met.get(what) ?? 0) + 1);
    let daemon = await startDaemon({ directory });
    try {
      for (let round = 0; round < kills; round++) {
        const delayMs = 10 + random() * 200;
        const clients = all.map(({ namespace }) => new DaemonClient(daemon.address, namespace));
        const working = Promise.all(all.map((load, index) => load.work(clients[index]!)));
        await Promise.race([working, new Promise((resolve) => setTimeout(resolve, delayMs))]);
        await daemon.stop("SIGKILL");
        await working;
        for (const client of clients) client[Symbol.dispose]();
        debris(daemon.root).forEach(note);
        daemon = await startDaemon({ directory });
        try {
          for (const load of all) {
            using client = new DaemonClient(daemon.address, load.namespace);
            (await load.compare(client)).forEach(note);
            await abortWrites(client);
          }
          await checkRoot(daemon);
        } catch (error) {
          throw new Error(`after kill ${round}, ${delayMs.toFixed(1)} ms into the load`, { cause: error });
        }
      }
      await checkAccount(daemon.root);
      assert.equal((await daemon.stop()).code, 0);
    } finally {
      await daemon[Symbol.asyncDispose]();
    }
    const answered = all.reduce((sum, load) => sum + load.answered, 0);
    console.log(`${answered} calls were answered; ${kills} kills met ${met.size} different states:`);
    for (const [what, count] of [...met].sort()) console.log(`  ${count} × ${what}`);
    assert(answered > 100 && met.size > 5, "the kills came too early");
    await removeAll(directory);
  },
);
