import assert from "node:assert/strict";
import { Trash } from "./trash.ts";

const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

async function mount(...words: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(words[0]!, { args: words.slice(1) }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

Deno.test({
  name: "Trash sets aside what has a mount in it, tells so, and tries it again only where it is asked to (needs root)",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const dir = await Deno.makeTempDir({ prefix: "barge-trash-" });
    const told: string[] = [];
    const mountPoints: string[] = [];
    try {
      await Deno.mkdir(`${dir}/trash`);
      await Deno.mkdir(`${dir}/foreign`);
      await Deno.writeTextFile(`${dir}/foreign/kept`, "x");
      const trash = new Trash(`${dir}/trash`, { tell: (sentence) => void told.push(sentence) });
      await Deno.mkdir(`${dir}/tree/in`, { recursive: true });
      await mount("mount", "--bind", `${dir}/foreign`, `${dir}/tree/in`);
      const place = trash.takeOrphan(`${dir}/tree`)!;
      const stuck = place.replace("/trash/", "/trash/stuck-");
      mountPoints.push(`${stuck}/in`);
      trash.removeLater(place);
      await trash.settled();
      assert.deepEqual(told.splice(0), [
        `cannot remove "${place}": "${place}/in" is a mount point: unmount it first; what is left of it is kept as "${stuck}"`,
      ]);
      assert.deepEqual(namesIn(`${dir}/foreign`), ["kept"]);
      await Deno.writeTextFile(`${dir}/trash/other`, "x");
      await trash.empty();
      assert.deepEqual(told, []);
      assert.deepEqual(namesIn(`${dir}/trash`), [stuck.slice(dir.length + 7)]);
      await trash.empty({ again: true });
      assert.equal(told.splice(0).length, 1);
      await mount("umount", mountPoints.pop()!);
      await trash.empty({ again: true });
      assert.deepEqual(told, []);
      assert.deepEqual(namesIn(`${dir}/trash`), []);
    } finally {
      for (const point of mountPoints) await mount("umount", point);
      await new Deno.Command("rm", { args: ["-rf", "--one-file-system", dir] }).output();
    }
  },
});

Deno.test({
  name: "Trash leaves what is a mount point itself where it is, and tells so (needs root)",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const dir = await Deno.makeTempDir({ prefix: "barge-trash-" });
    const told: string[] = [];
    await Deno.mkdir(`${dir}/trash`);
    await Deno.mkdir(`${dir}/foreign/kept`, { recursive: true });
    await Deno.mkdir(`${dir}/tree`);
    await mount("mount", "--bind", `${dir}/foreign`, `${dir}/tree`);
    try {
      const trash = new Trash(`${dir}/trash`, { tell: (sentence) => void told.push(sentence) });
      await trash.remove(trash.takeOrphan(`${dir}/tree`));
      assert.deepEqual(told, [`cannot throw away "${dir}/tree": it is a mount point: unmount it first`]);
      assert.deepEqual(namesIn(`${dir}/tree`), ["kept"]);
    } finally {
      await mount("umount", `${dir}/tree`);
      await new Deno.Command("rm", { args: ["-rf", "--one-file-system", dir] }).output();
    }
  },
});
