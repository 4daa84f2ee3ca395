import assert from "node:assert/strict";
import { buildName, removeOldBuilds } from "./builds.ts";

Deno.test("buildName() tells contents and names of files apart, whatever their order", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const one = buildName(new Map([["a", bytes("1")], ["b", bytes("2")]]));
  assert.match(one, /^[0-9a-f]{12}$/);
  assert.equal(buildName(new Map([["b", bytes("2")], ["a", bytes("1")]])), one);
  assert.notEqual(buildName(new Map([["a", bytes("1")], ["b", bytes("3")]])), one);
  assert.notEqual(buildName(new Map([["a", bytes("1")], ["c", bytes("2")]])), one);
  assert.notEqual(buildName(new Map([["ab", bytes("1")]])), buildName(new Map([["a", bytes("b1")]])));
});

Deno.test("removeOldBuilds() keeps what is kept and what runs, and clears up after installations that were ended", async () => {
  const directory = await Deno.makeTempDir();
  const names = ["000000000001", "000000000002", "000000000003"];
  try {
    for (const name of names) {
      await Deno.mkdir(`${directory}/${name}/lib/barge`, { recursive: true });
      await Deno.copyFile("/bin/sleep", `${directory}/${name}/lib/barge/deno`);
      await Deno.chmod(`${directory}/${name}/lib/barge/deno`, 0o755);
    }
    for (const name of [".fresh-now", ".fresh-old"]) await Deno.mkdir(`${directory}/${name}`);
    await Deno.utime(`${directory}/.fresh-old`, new Date(0), new Date(0));
    const there = () => [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
    const running = new Deno.Command(`${directory}/${names[1]}/lib/barge/deno`, { args: ["60"] }).spawn();
    try {
      removeOldBuilds(directory, [names[2], undefined]);
      assert.deepEqual(there(), [".fresh-now", names[1], names[2]]);
    } finally {
      running.kill("SIGKILL");
      await running.status;
    }
    removeOldBuilds(directory, [names[2]]);
    assert.deepEqual(there(), [".fresh-now", names[2]]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
