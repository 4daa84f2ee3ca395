import assert from "node:assert/strict";
import { dig } from "./deep_fixture.ts";
import { makeDirectoryAt } from "./files.ts";
import { MountInTheWay, removalSteps, removeTreeSync } from "./remove_tree.ts";

const notRoot = Deno.uid() !== 0;

async function inTempDir(body: (dir: string) => Promise<void> | void): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-rm-" });
  try {
    await body(dir);
  } finally {
    await new Deno.Command("chattr", { args: ["-R", "-i", "-a", dir], stderr: "null" }).output().catch(() => {});
    await new Deno.Command("rm", { args: ["-rf", "--one-file-system", dir] }).output();
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

const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
const openFiles = () => namesIn("/proc/self/fd").length;

Deno.test("removeTreeSync() removes what is not there, a file, a link, and a tree", () =>
  inTempDir(async (dir) => {
    removeTreeSync(`${dir}/missing`);
    removeTreeSync(`${dir}/missing/too`);
    await Deno.writeTextFile(`${dir}/file`, "x");
    removeTreeSync(`${dir}/file`);
    await Deno.symlink(dir, `${dir}/link`);
    removeTreeSync(`${dir}/link`);
    await Deno.mkdir(`${dir}/tree/a/b`, { recursive: true });
    removeTreeSync(`${dir}/tree/`);
    assert.deepEqual(namesIn(dir), []);
  }));

Deno.test("removeTreeSync() removes 30,000 directories in each other, with few descriptors", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/tree`);
    dig(`${dir}/tree`, 30_000, "d", (innermost) => makeDirectoryAt(innermost, "last", 0));
    const before = openFiles();
    let most = 0, steps = 0;
    for (const _ of removalSteps(`${dir}/tree`)) if (steps++ % 1000 === 0) most = Math.max(most, openFiles());
    assert.ok(most - before < 50, `${most - before} descriptors`);
    assert.equal(openFiles(), before);
    assert.deepEqual(namesIn(dir), []);
  }));

Deno.test("removeTreeSync() removes a tree that is wide at each of many levels", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/tree`);
    let path = `${dir}/tree`;
    for (let level = 0; level < 80; level++) {
      for (let n = 0; n < 20; n++) await Deno.mkdir(`${path}/${n}`);
      await Deno.writeTextFile(`${path}/file`, "x");
      path += "/7";
    }
    for (let n = 0; n < 3_000; n++) Deno.writeTextFileSync(`${dir}/tree/0/${n}-${"n".repeat(100)}`, "");
    removeTreeSync(`${dir}/tree`);
    assert.deepEqual(namesIn(dir), []);
  }));

Deno.test("removalSteps() left early has removed a part, holds nothing, and can be gone on with", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/tree/a/b`, { recursive: true });
    for (let n = 0; n < 50; n++) Deno.writeTextFileSync(`${dir}/tree/a/b/${n}`, "x".repeat(10_000));
    const before = openFiles();
    let bytes = 0;
    for (const size of removalSteps(`${dir}/tree`, { measured: true })) if ((bytes += size) > 100_000) break;
    assert.equal(openFiles(), before);
    const left = namesIn(`${dir}/tree/a/b`).length;
    assert.ok(left > 30 && left < 50, `${left} files`);
    removeTreeSync(`${dir}/tree`);
    assert.deepEqual(namesIn(dir), []);
  }));

Deno.test("removeTreeSync() removes names that are not UTF-8", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/tree`);
    assert.ok(await command("sh", "-c", `cd '${dir}/tree' && d=$(printf '\\377') && mkdir "$d" && echo x > "$d/$d"`));
    removeTreeSync(`${dir}/tree`);
    assert.deepEqual(namesIn(dir), []);
  }));

Deno.test("removeTreeSync() does not follow symbolic links", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/outside/kept`, { recursive: true });
    await Deno.mkdir(`${dir}/trash/tree`, { recursive: true });
    await Deno.symlink(`${dir}/outside`, `${dir}/trash/tree/link`);
    removeTreeSync(`${dir}/trash/tree`);
    assert.deepEqual(namesIn(`${dir}/outside`), ["kept"]);
    assert.deepEqual(namesIn(`${dir}/trash`), []);
  }));

Deno.test({
  name: "removeTreeSync() enters no mount: it names the first one, and removes the rest (needs root)",
  ignore: notRoot,
  fn: () =>
    inTempDir(async (dir) => {
      await Deno.mkdir(`${dir}/volume/data`, { recursive: true });
      await Deno.writeTextFile(`${dir}/volume/data/kept`, "x");
      await Deno.mkdir(`${dir}/tree/a/mounted`, { recursive: true });
      await Deno.writeTextFile(`${dir}/tree/a/file`, "x");
      await Deno.writeTextFile(`${dir}/tree/a/bound`, "x");
      // On the same file system, so that only the mount itself tells.
      assert.ok(await command("mount", "--bind", `${dir}/volume`, `${dir}/tree/a/mounted`));
      assert.ok(await command("mount", "--bind", `${dir}/volume/data/kept`, `${dir}/tree/a/bound`));
      try {
        for (const path of [`${dir}/tree`, `${dir}/tree/a/mounted`]) {
          assert.throws(
            () => removeTreeSync(path),
            (error) =>
              error instanceof MountInTheWay &&
              new RegExp(`^"${dir}/tree/a/(mounted|bound)" is a mount point: unmount it first$`).test(error.message),
          );
        }
        assert.deepEqual(namesIn(`${dir}/volume/data`), ["kept"]);
        assert.deepEqual(namesIn(`${dir}/tree/a`), ["bound", "mounted"]);
      } finally {
        await command("umount", `${dir}/tree/a/mounted`);
        await command("umount", `${dir}/tree/a/bound`);
      }
      removeTreeSync(`${dir}/tree`);
      assert.deepEqual(namesIn(dir), ["volume"]);
    }),
});

Deno.test({
  name: "removeTreeSync() removes whiteouts and a work directory of mode 0 (needs root)",
  ignore: notRoot,
  fn: () =>
    inTempDir(async (dir) => {
      await Deno.mkdir(`${dir}/tree/work/work`, { recursive: true });
      await Deno.chmod(`${dir}/tree/work/work`, 0);
      assert.ok(await command("mknod", `${dir}/tree/whiteout`, "c", "0", "0"));
      removeTreeSync(`${dir}/tree`);
      assert.deepEqual(namesIn(dir), []);
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
  name:
    "removeTreeSync() removes immutable and append-only files and directories (needs chattr and a disk that knows it)",
  ignore: !canMakeImmutable,
  fn: () =>
    inTempDir(async (dir) => {
      await Deno.mkdir(`${dir}/tree/a/b`, { recursive: true });
      await Deno.writeTextFile(`${dir}/tree/a/b/file`, "x");
      await Deno.writeTextFile(`${dir}/tree/a/log`, "x");
      dig(`${dir}/tree/a/b`, 60, "deep");
      assert.ok(await command("chattr", "+a", `${dir}/tree/a/log`));
      assert.ok(await command("chattr", "+i", `${dir}/tree/a/b/${"deep/".repeat(45)}`));
      assert.ok(await command("chattr", "+i", `${dir}/tree/a/b/file`, `${dir}/tree/a/b`, `${dir}/tree/a`));
      removeTreeSync(`${dir}/tree`);
      assert.deepEqual(namesIn(dir), []);
    }),
});

Deno.test("removeTreeSync() of a tree that another one removes at the same time", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/tree`);
    for (let n = 0; n < 40; n++) {
      await Deno.mkdir(`${dir}/tree/${n}`);
      dig(`${dir}/tree/${n}`, 100, "d");
    }
    const first = removalSteps(`${dir}/tree`), second = removalSteps(`${dir}/tree`);
    for (let done = 0; done < 2;) {
      done = 0;
      for (const steps of [first, second]) if (steps.next().done === true) done++;
    }
    assert.deepEqual(namesIn(dir), []);
  }));
