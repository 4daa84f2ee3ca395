import assert from "node:assert/strict";
import { stopTreeWorker } from "../snapshots/tree_work.ts";
import { dig } from "../../ffi/deep_fixture.ts";
import { removeTree } from "./remove_tree.ts";

const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

Deno.test("removeTree() removes small trees, large files, many files and deep directories, and lets others work", async () => {
  const dir = await Deno.makeTempDir({ prefix: "barge-rm-" });
  try {
    await removeTree(`${dir}/missing`);
    await Deno.mkdir(`${dir}/small/a/b`, { recursive: true });
    await removeTree(`${dir}/small`);
    await Deno.writeFile(`${dir}/large`, new Uint8Array(20 << 20));
    await removeTree(`${dir}/large`);
    await Deno.mkdir(`${dir}/many`);
    for (let n = 0; n < 5_000; n++) Deno.writeTextFileSync(`${dir}/many/${n}`, "");
    await Deno.mkdir(`${dir}/deep`);
    dig(`${dir}/deep`, 10_000, "d");
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await Promise.all(["many", "deep"].map((name) => removeTree(`${dir}/${name}`)));
    clearInterval(timer);
    assert.ok(turns > 5, `${turns} turns of the event loop`);
    assert.deepEqual(namesIn(dir), []);
    await Deno.mkdir(`${dir}/here`);
    for (let n = 0; n < 5_000; n++) Deno.mkdirSync(`${dir}/here/${n}`);
    await removeTree(`${dir}/here`, { here: true });
    assert.deepEqual(namesIn(dir), []);
  } finally {
    stopTreeWorker();
    await new Deno.Command("rm", { args: ["-rf", dir] }).output();
  }
});
