import assert from "node:assert/strict";
import { makeDirectories } from "./directories.ts";

Deno.test("makeDirectories() makes root, state and temp with containerd's modes, and narrows what was wider", async () => {
  const directory = await Deno.makeTempDir();
  const former = Deno.env.get("TMPDIR");
  try {
    const [root, state, temp] = ["a/root", "b/state", "temp"].map((name) => `${directory}/${name}`) as [
      string,
      string,
      string,
    ];
    await Deno.mkdir(root, { recursive: true, mode: 0o755 });
    makeDirectories({ root, state, temp });
    const modes = [root, state, temp].map((path) => Deno.statSync(path).mode! & 0o777);
    assert.deepEqual(modes, [0o700, 0o711, 0o700]);
    assert.equal(Deno.env.get("TMPDIR"), temp);
  } finally {
    if (former === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", former);
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("makeDirectories() refuses missing and equal paths in containerd's words", () => {
  assert.throws(() => makeDirectories({ root: "", state: "/s", temp: "" }), /^Failure: root must be specified$/);
  assert.throws(() => makeDirectories({ root: "/r", state: "", temp: "" }), /^Failure: state must be specified$/);
  assert.throws(
    () => makeDirectories({ root: "/r", state: "/r", temp: "" }),
    /^Failure: root and state must be different paths$/,
  );
  assert.throws(() => makeDirectories({ root: "/proc/x", state: "/s", temp: "" }), /proc/);
});
