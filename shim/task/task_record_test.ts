import assert from "node:assert/strict";
import { hasTaskRecord, readTaskRecord, type TaskRecord, writeTaskRecord } from "./task_record.ts";

const record: TaskRecord = {
  version: 1,
  stdio: { stdin: "", stdout: "/out", stderr: "", terminal: false },
  init: { pid: 5, start: "77", pipes: { stdout: 12 }, stdinClosed: false },
  execs: [],
};

async function withBundle(body: (bundle: string) => void): Promise<void> {
  const bundle = await Deno.makeTempDir({ prefix: "record-" });
  try {
    body(bundle);
  } finally {
    await Deno.remove(bundle, { recursive: true });
  }
}

Deno.test("readTaskRecord() gives what writeTaskRecord() has written last", () =>
  withBundle((bundle) => {
    assert.equal(hasTaskRecord(bundle), false);
    writeTaskRecord(bundle, { ...record, mounted: "/m" });
    writeTaskRecord(bundle, record);
    assert.equal(hasTaskRecord(bundle), true);
    assert.deepEqual(readTaskRecord(bundle), record);
    assert.deepEqual([...Deno.readDirSync(bundle)].map(({ name }) => name), ["task.json"]);
  }));

Deno.test("readTaskRecord() refuses a bundle without a record, and one of another version, by its number", () =>
  withBundle((bundle) => {
    assert.throws(() => readTaskRecord(bundle), { code: "FailedPrecondition" });
    Deno.writeTextFileSync(`${bundle}/task.json`, JSON.stringify({ ...record, version: 2 }));
    assert.throws(() => readTaskRecord(bundle), { code: "FailedPrecondition", message: /has version 2: want 1/ });
  }));

Deno.test("writeTaskRecord() does nothing where the bundle has gone", () => writeTaskRecord("/nowhere/at/all", record));
