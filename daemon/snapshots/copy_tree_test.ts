import assert from "node:assert/strict";
import { copyTree } from "./copy_tree.ts";

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
