import assert from "node:assert/strict";
import { flags } from "../../ffi/constants.ts";
import { dig } from "../../ffi/deep_fixture.ts";
import { closeFile, linkAt, openAt, writeAt } from "../../ffi/files.ts";
import { removeTreeSync } from "../../ffi/remove_tree.ts";
import { copyTree } from "./copy_tree.ts";
import { isSmallTree } from "./small_tree.ts";
import { treeUsage } from "./usage.ts";

async function shell(script: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("sh", { args: ["-ec", script] }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder("latin1").decode(stdout);
}

Deno.test({
  name: "copyTree() keeps types, owners, modes, times, links, nodes, holes and names of any bytes (needs root)",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const dir = await Deno.makeTempDir({ prefix: "barge-copy-" });
    try {
      await shell(`
        mkdir -p '${dir}/from/sub/deep' '${dir}/to' && cd '${dir}/from'
        echo text > file && chown 12:34 file && chmod 4755 file && ln file sub/again
        ln -s ../nowhere sub/deep/link && chown -h 5:6 sub/deep/link
        mknod null c 1 3 && mkfifo pipe && chmod 1777 sub
        truncate -s 50M sparse && printf end >> sparse
        : > "$(printf 'odd\\377name')"
        touch -h -d '2001-02-03 04:05:06.123456789' sub/deep/link
        touch -d '1999-01-01 00:00:00.5' file sub/deep sub .
      `);
      await copyTree(`${dir}/from`, `${dir}/to`);
      const list = (where: string) =>
        shell(
          `cd '${dir}/${where}' && find . -printf '%P %y %m %U %G %T@ %n %l ' \\( -type f -printf '%s' -o -true \\) -printf '\\n' | sort`,
        );
      assert.equal(await list("to"), await list("from"));
      await shell(`cmp '${dir}/from/sparse' '${dir}/to/sparse'; [ "$(stat -c %t:%T '${dir}/to/null')" = 1:3 ]`);
      assert.ok(Deno.statSync(`${dir}/to/sparse`).blocks! * 512 < 1 << 20, "the hole was filled");
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

Deno.test("copyTree() and treeUsage() take 30,000 directories in each other", async () => {
  const dir = await Deno.makeTempDir({ prefix: "barge-copy-" });
  try {
    for (const name of ["from", "to"]) await Deno.mkdir(`${dir}/${name}`);
    dig(`${dir}/from`, 30_000, "d", (innermost) => {
      for (const name of ["file", "same"]) {
        const file = openAt(innermost, name, flags("O_WRONLY", "O_CREAT"), 0o600);
        writeAt(file, new Uint8Array(10_000), 0);
        closeFile(file);
      }
      linkAt(innermost, "file", innermost, "again");
    });
    await copyTree(`${dir}/from`, `${dir}/to`);
    assert.deepEqual([...Deno.readDirSync(`${dir}/to`)].map(({ name }) => name), ["d"]);
    const { inodes, size } = await treeUsage(`${dir}/to`);
    assert.equal(inodes, 30_003);
    assert.deepEqual(await treeUsage(`${dir}/from`), { inodes, size });
    // What a snapshot of a file system has in common with its parent: here, of a tree with itself, all.
    assert.deepEqual(await treeUsage(`${dir}/from`, { base: `${dir}/from` }), { inodes: 0, size: 0 });
    assert.equal(isSmallTree(`${dir}/from`), false);
  } finally {
    removeTreeSync(dir);
  }
});

Deno.test("isSmallTree() looks into directories whose paths are longer than the kernel takes", async () => {
  const dir = await Deno.makeTempDir({ prefix: "barge-small-" });
  try {
    dig(dir, 60, "n".repeat(200));
    assert.equal(isSmallTree(dir), true);
    dig(dir, 500, "d");
    assert.equal(isSmallTree(dir), false);
    assert.equal(isSmallTree(`${dir}/missing`), true);
  } finally {
    removeTreeSync(dir);
  }
});
