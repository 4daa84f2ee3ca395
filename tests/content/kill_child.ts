/**
 * What `content_kill_test.ts` kills: works with a content store, and kills itself before the n-th step that changes a
 * disk or the database. Says on standard output what it may rely on.
 *
 * Arguments: root directory, and n, or 0 for telling at the end how many steps there are.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { type Digest, parseDigest } from "../../api/digest.ts";
import { openWriter } from "../../daemon/content/content_writer.ts";
import { openStores } from "../../daemon/store.ts";

const [root, at] = Deno.args;
const killAt = Number(at);
let steps = 0;

function step(): void {
  steps++;
  if (steps !== killAt) return;
  Deno.kill(Deno.pid, "SIGKILL");
  // The signal may need a moment, in which nothing may be done.
  for (;;);
}

/** Makes a method a step. `owner` is typed loosely: its methods are replaced by what takes and gives the same. */
function countCalls(owner: object, names: readonly string[]): void {
  const methods = owner as Record<string, (...args: unknown[]) => unknown>;
  for (const name of names) {
    const original = methods[name]!;
    methods[name] = function (this: unknown, ...args: unknown[]) {
      step();
      return original.apply(this, args);
    };
  }
}

const say = (what: string, about: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${what} ${about}\n`));
const bytes = (text: string) => new TextEncoder().encode(text.repeat(20_000));
const digestOf = (data: Uint8Array) => parseDigest(`sha256:${createHash("sha256").update(data).digest("hex")}`);
const plain = { expected: undefined, total: 0, lease: undefined, policy: "shared" } as const;
const end = { expected: undefined, total: 0, labels: { "a": "b" } };

const stores = await openStores(root!);
const [one, other] = [stores.of("one").content, stores.of("other").content];
const deno = ["renameSync", "mkdirSync", "writeFileSync", "writeTextFileSync", "chmodSync", "removeSync", "remove"];
countCalls(Deno, [...deno, "truncateSync", "copyFile", "openSync"]);
countCalls(DatabaseSync.prototype, ["exec"]);
countCalls(StatementSync.prototype, ["run"]);

async function write(ref: string, data: Uint8Array): Promise<Digest> {
  const writer = await openWriter(one, ref, plain);
  await writer.truncate();
  await writer.write(data.subarray(0, 70_000));
  step();
  await writer.write(data.subarray(70_000));
  step();
  const { digest } = await writer.commit(end);
  say("committed one", digest);
  return digest;
}

const first = await write("first", bytes("first"));
const second = await write("second", bytes("second"));
const shared = await openWriter(other, "shared", { ...plain, expected: first });
await shared.commit(end);
say("committed other", first);
const unfinished = await openWriter(one, "unfinished", plain);
await unfinished.write(bytes("more"));
unfinished.close();
await one.ingests.abort("unfinished");
for (const digest of [first, second]) {
  say("deleting one", digest);
  await one.delete(digest);
  say("deleted one", digest);
}
await write("last", bytes("last"));
if (other.files.size(digestOf(bytes("first"))) === undefined) throw new Error("what the other has is gone");
if (killAt === 0) say("steps", String(steps));
