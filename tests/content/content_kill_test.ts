import { deepEqual, equal, ok } from "node:assert/strict";
import { parseDigest } from "../../api/digest.ts";
import { removeLeftovers } from "../../daemon/content/leftovers.ts";
import { openStores, type Stores } from "../../daemon/store.ts";
import { execute, sourceRoot } from "../command.ts";
import { makeScratch } from "../scratch.ts";

const child = [
  ...[Deno.execPath(), "run", "--allow-all", "--quiet", "--no-check", "--config", `${sourceRoot}/deno.json`],
  new URL("./kill_child.ts", import.meta.url).pathname,
];
const signal = new AbortController().signal;
/** Children at once; each takes a tenth of a second, most of it for its start. */
const childrenMax = 2;

const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name);

/** What the child said it had done, and what it was about to do when it died. */
function factsOf(output: string): { committed: Set<string>; deleted: Set<string>; deleting: Set<string> } {
  const facts = { committed: new Set<string>(), deleted: new Set<string>(), deleting: new Set<string>() };
  for (const line of output.trim().split("\n")) {
    const [what, namespace, digest] = line.split(" ");
    if (what === "committed") facts.committed.add(`${namespace} ${digest}`);
    if (what === "deleted") facts.deleted.add(`${namespace} ${digest}`);
    if (what === "deleting") facts.deleting.add(`${namespace} ${digest}`);
  }
  return facts;
}

async function check(stores: Stores, output: string): Promise<void> {
  const { committed, deleted, deleting } = factsOf(output);
  await stores.of("one").content.restoreInterrupted();
  const found = new Set<string>();
  for (const namespace of ["one", "other"]) {
    const { content } = stores.of(namespace);
    for (const { digest } of await content.list()) {
      found.add(`${namespace} ${digest}`);
      equal((await content.verify(digest, signal)).state, "whole", `${namespace} ${digest}`);
    }
  }
  for (const name of committed) ok(found.has(name) || deleting.has(name), `${name} is lost`);
  for (const name of deleted) ok(!found.has(name), `${name} came back`);
  const directory = stores.of("one").content.files.directory;
  await removeLeftovers(stores.database, directory, stores.of("one").trash, signal);
  await stores.of("one").trash.empty();
  deepEqual(names(`${stores.root}/trash`), []);
  const digests = new Set([...found].map((name) => name.split(" ")[1]!));
  deepEqual([...stores.of("one").content.files.list()].sort(), [...digests].sort());
  const statuses = await stores.of("one").content.ingests.statuses(() => true);
  equal(names(`${directory}/ingest`).length, statuses.length);
  // What was written may be written again, and what is there be deleted.
  // Take-overs are not among the statuses, and keep the file for themselves.
  const ingests = stores.database.all<{ namespace: string; ref: string }>("SELECT namespace, ref FROM ingests");
  for (const { namespace, ref } of ingests) await stores.of(namespace).content.ingests.abort(ref);
  for (const name of found) {
    const [namespace, digest] = name.split(" ");
    await stores.of(namespace!).content.delete(parseDigest(digest!));
  }
  deepEqual([...stores.of("one").content.files.list()], []);
}

Deno.test("A content store is whole after its process was killed before any step of writing and deleting", async () => {
  await using scratch = await makeScratch();
  const whole = await execute([...child, `${scratch.path}/whole`, "0"]);
  equal(whole.code, 0, whole.stderr);
  const steps = Number(/steps (\d+)/.exec(whole.stdout)?.[1]);
  ok(steps > 50, whole.stdout);
  let next = 1;
  const work = async () => {
    while (next <= steps) {
      const at = next++;
      const root = `${scratch.path}/${at}`;
      const { code, stdout, stderr } = await execute([...child, root, String(at)]);
      equal(code, 128 + 9, `step ${at}: ${stderr}`);
      using stores = await openStores(root);
      try {
        await check(stores, stdout);
      } catch (error) {
        throw new Error(`killed before step ${at} of ${steps}`, { cause: error });
      }
      // And the next process does it all.
      const { code: again, stderr: why } = at % 10 === 0
        ? await execute([...child, root, "0"])
        : { code: 0, stderr: "" };
      equal(again, 0, why);
      await Deno.remove(root, { recursive: true });
    }
  };
  await Promise.all(Array.from({ length: childrenMax }, work));
});
