import assert from "node:assert/strict";
import { recordedExit, recordExit } from "./exits.ts";

Deno.test("recordedExit() gives the exit that recordExit() has written last for the id", async () => {
  const bundle = await Deno.makeTempDir();
  try {
    assert.equal(recordedExit(bundle, "box"), undefined);
    recordExit(bundle, "exec", 8, { status: 3, at: 1 });
    recordExit(bundle, "box", 7, { status: 137, at: 2 });
    // A shim that is killed while it writes leaves half a line.
    Deno.writeTextFileSync(`${bundle}/exits.json`, '{"id":"box","pi', { append: true });
    const { pid, status, at } = recordedExit(bundle, "box")!;
    assert.deepEqual([pid, status, at], [7, 137, 2]);
    assert.equal(recordedExit(bundle, "other"), undefined);
  } finally {
    await Deno.remove(bundle, { recursive: true });
  }
});
