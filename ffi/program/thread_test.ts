import assert from "node:assert/strict";
import { flags } from "../constants.ts";
import { makePipe, openFile, writeOnce } from "../descriptor.ts";
import { copyPump, runOnThread, splicePump } from "./thread.ts";

Deno.test("copyPump() lets two pumps share a file: nothing is written over", async () => {
  const path = await Deno.makeTempFile();
  try {
    using file = openFile(path, flags("O_WRONLY"));
    const pipes = [makePipe(), makePipe()];
    const pumps = pipes.map(({ read }) => runOnThread(copyPump(read.number, file.number)));
    const lines = Array.from({ length: 200 }, (_, index) => `line ${index}\n`);
    lines.forEach((line, index) => writeOnce(pipes[index % 2]!.write.number, new TextEncoder().encode(line)));
    for (const { write } of pipes) write.close();
    assert.deepEqual(await Promise.all(pumps), [0, 0]);
    for (const { read } of pipes) read.close();
    const written = (await Deno.readTextFile(path)).trimEnd().split("\n");
    assert.deepEqual(written.map((line) => `${line}\n`).sort(), lines.toSorted());
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("copyPump() and splicePump() end with the error that ended them", async () => {
  for (const pump of [copyPump, splicePump]) {
    const { read, write } = makePipe();
    writeOnce(write.number, new Uint8Array([1]));
    using full = openFile("/dev/full", flags("O_WRONLY"));
    const result = await runOnThread(pump(read.number, full.number));
    assert(result < 0, `${pump.name}: ${result}`);
    read.close();
    write.close();
  }
});
