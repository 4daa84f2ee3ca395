import assert from "node:assert/strict";
import { removeStubbornTree } from "./remove_stubborn_tree.ts";
import { removeTree } from "./remove_tree.ts";

const notRoot = Deno.uid() !== 0;

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-rm-" });
  try {
    await body(dir);
  } finally {
    await new Deno.Command("chattr", { args: ["-R", "-i", "-a", dir], stderr: "null" }).output().catch(() => {});
    await Deno.remove(dir, { recursive: true });
  }
}

async function command(...words: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(words[0]!, { args: words.slice(1), stderr: "null", stdout: "null" }).output())
      .success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Makes a chain of directories whose path is far longer than the kernel takes in one call. */
async function dig(dir: string, depth: number): Promise<void> {
  let top: string | undefined;
  for (let level = 0; level < depth; level++) {
    const outer = `${dir}/level-${level}`;
    Deno.mkdirSync(outer);
    if (top !== undefined) Deno.renameSync(top, `${outer}/${"d".repeat(100)}`);
    top = outer;
  }
  await Deno.rename(top!, `${dir}/deep`);
}

Deno.test("removeTree() removes what is not there, a file, and a tree", () =>
  inTempDir(async (dir) => {
    await removeTree(`${dir}/missing`);
    await Deno.writeTextFile(`${dir}/file`, "x");
    await removeTree(`${dir}/file`);
    await Deno.mkdir(`${dir}/tree/a/b`, { recursive: true });
    await removeTree(`${dir}/tree`);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("removeStubbornTree() removes a tree whose path is longer than PATH_MAX", () =>
  inTempDir(async (dir) => {
    await dig(dir, 120);
    await removeStubbornTree(`${dir}/deep`);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("removeStubbornTree() removes names that are not UTF-8", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/tree`);
    assert.ok(await command("sh", "-c", `cd '${dir}/tree' && d=$(printf '\\377') && mkdir "$d" && echo x > "$d/$d"`));
    await removeStubbornTree(`${dir}/tree`);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("removeStubbornTree() does not follow symbolic links", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/outside/kept`, { recursive: true });
    await Deno.mkdir(`${dir}/trash/tree`, { recursive: true });
    await Deno.symlink(`${dir}/outside`, `${dir}/trash/tree/link`);
    await removeStubbornTree(`${dir}/trash/tree`);
    assert.deepEqual([...Deno.readDirSync(`${dir}/outside`)].map((e) => e.name), ["kept"]);
    assert.deepEqual([...Deno.readDirSync(`${dir}/trash`)], []);
  }));

Deno.test({
  name: "removeTree() removes whiteouts and a work directory of mode 0 (needs root)",
  ignore: notRoot,
  fn: () =>
    inTempDir(async (dir) => {
      await Deno.mkdir(`${dir}/tree/work/work`, { recursive: true });
      await Deno.chmod(`${dir}/tree/work/work`, 0);
      assert.ok(await command("mknod", `${dir}/tree/whiteout`, "c", "0", "0"));
      await removeTree(`${dir}/tree`);
      assert.deepEqual([...Deno.readDirSync(dir)], []);
    }),
});

const canMakeImmutable = !notRoot && await (async () => {
  const file = await Deno.makeTempFile({ prefix: "barge-chattr-" });
  const can = await command("chattr", "+i", file);
  await command("chattr", "-i", file);
  await Deno.remove(file);
  return can;
})();

Deno.test({
  name: "removeTree() removes immutable and append-only files and directories (needs chattr and a disk that knows it)",
  ignore: !canMakeImmutable,
  fn: () =>
    inTempDir(async (dir) => {
      await Deno.mkdir(`${dir}/tree/a/b`, { recursive: true });
      await Deno.writeTextFile(`${dir}/tree/a/b/file`, "x");
      await Deno.writeTextFile(`${dir}/tree/a/log`, "x");
      assert.ok(await command("chattr", "+a", `${dir}/tree/a/log`));
      assert.ok(await command("chattr", "+i", `${dir}/tree/a/b/file`, `${dir}/tree/a/b`, `${dir}/tree/a`));
      await removeTree(`${dir}/tree`);
      assert.deepEqual([...Deno.readDirSync(dir)], []);
    }),
});
