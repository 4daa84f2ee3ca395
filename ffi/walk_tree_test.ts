import assert from "node:assert/strict";
import { dig } from "./deep_fixture.ts";
import { makeDirectoryAt } from "./files.ts";
import { openTree, walkTree } from "./walk_tree.ts";

async function inTempDir(body: (dir: string) => Promise<void> | void): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-walk-" });
  try {
    await body(dir);
  } finally {
    await new Deno.Command("rm", { args: ["-rf", "--one-file-system", dir] }).output();
  }
}

const openFiles = () => [...Deno.readDirSync("/proc/self/fd")].length;

/** Paths as the walk comes to them. */
function* paths(dir: string): Generator<string> {
  const way: string[] = [];
  for (const { kind, name, depth } of walkTree(openTree(dir))) {
    if (kind === "enter") way.push(name);
    assert.equal(depth, way.length);
    const path = [...way, ...(kind === "enter" || kind === "leave" ? [] : [name])].join("/");
    if (kind === "leave") assert.equal(way.pop(), name);
    else yield path;
  }
}

Deno.test("walkTree() comes to each name once, and leaves what it has entered", () =>
  inTempDir(async (dir) => {
    const expected: string[] = [];
    let path = "";
    for (let level = 0; level < 70; level++) {
      for (const name of ["a", "b", "c"]) {
        Deno.mkdirSync(`${dir}/${path}${name}`);
        expected.push(`${path}${name}`);
      }
      Deno.writeTextFileSync(`${dir}/${path}file`, "");
      Deno.symlinkSync("..", `${dir}/${path}link`);
      expected.push(`${path}file`, `${path}link`);
      path += "b/";
    }
    // More than one read of the directory gives, above and below the directories that stay open.
    for (const place of ["", "b/b/", "b/".repeat(50)]) {
      for (let n = 0; n < 700; n++) {
        Deno.mkdirSync(`${dir}/${place}${n}-${"n".repeat(40)}`);
        expected.push(`${place}${n}-${"n".repeat(40)}`);
      }
    }
    const before = openFiles();
    assert.deepEqual([...paths(dir)].sort(), expected.sort());
    assert.equal(openFiles(), before);
    await Promise.resolve();
  }));

Deno.test("walkTree() walks 20,000 directories in each other, with few descriptors", () =>
  inTempDir((dir) => {
    dig(dir, 20_000, "d", (innermost) => makeDirectoryAt(innermost, "last", 0o700));
    const before = openFiles();
    let deepest = 0, steps = 0, most = 0;
    for (const { depth } of walkTree(openTree(dir))) {
      deepest = Math.max(deepest, depth);
      if (steps++ % 5_000 === 0) most = Math.max(most, openFiles());
    }
    assert.deepEqual([deepest, steps], [20_001, 40_002]);
    assert.ok(most - before < 50, `${most - before} descriptors`);
    assert.equal(openFiles(), before);
  }));

Deno.test("walkTree() says so where a directory on its way was moved elsewhere", () =>
  inTempDir((dir) => {
    Deno.mkdirSync(`${dir}/tree`);
    dig(`${dir}/tree`, 100, "d");
    Deno.mkdirSync(`${dir}/other`);
    const walk = walkTree(openTree(`${dir}/tree`));
    assert.throws(() => {
      for (const { kind, depth } of walk) {
        if (kind === "enter" && depth === 80) Deno.renameSync(`${dir}/tree/d/d/d/d/d`, `${dir}/other/d`);
      }
    }, /stale file handle/);
  }));

Deno.test({
  name: "walkTree() tells of mounts and does not enter them (needs root)",
  ignore: Deno.uid() !== 0,
  fn: () =>
    inTempDir(async (dir) => {
      await Deno.mkdir(`${dir}/volume/secret`, { recursive: true });
      await Deno.mkdir(`${dir}/tree/in`, { recursive: true });
      assert.ok(
        (await new Deno.Command("mount", { args: ["--bind", `${dir}/volume`, `${dir}/tree/in`] }).output()).success,
      );
      try {
        const steps = [...walkTree(openTree(`${dir}/tree`))].map(({ kind, name }) => `${kind} ${name}`);
        assert.deepEqual(steps, ["mount in"]);
      } finally {
        await new Deno.Command("umount", { args: [`${dir}/tree/in`] }).output();
      }
    }),
});
