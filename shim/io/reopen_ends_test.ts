import assert from "node:assert/strict";
import { Descriptor, makePipe, readOnce, writeOnce } from "../../ffi/descriptor.ts";
import { reopenEnds } from "./reopen_ends.ts";

function inodeOf({ number }: Descriptor): number {
  return Number(/\[(\d+)\]/.exec(Deno.readLinkSync(`/proc/self/fd/${number}`))![1]);
}

Deno.test("reopenEnds() opens the other ends of a process's pipes, with what is in them", () => {
  const input = makePipe(), output = makePipe();
  const pipes = { stdin: inodeOf(input.read), stdout: inodeOf(output.write), stderr: 1 };
  // This process is the container: its other ends are gone with the shim.
  input.write.close();
  writeOnce(output.write.number, new Uint8Array([1, 2, 3]));
  output.read.close();
  const ends = reopenEnds(Deno.pid, pipes);
  assert.deepEqual(Object.keys(ends).sort(), ["stdin", "stdout"]);
  const buffer = new Uint8Array(8);
  assert.equal(readOnce(ends.stdout!.number, buffer), 3);
  writeOnce(ends.stdin!.number, new Uint8Array([7]));
  assert.equal(readOnce(input.read.number, buffer), 1);
  assert.equal(buffer[0], 7);
  for (const end of [ends.stdin!, ends.stdout!, input.read, output.write]) end.close();
});

Deno.test("reopenEnds() gives nothing of a process that is gone, or has other files in their place", () => {
  assert.deepEqual(reopenEnds(Deno.pid, { stdin: 1, stdout: 2, stderr: 3 }), {});
  assert.deepEqual(reopenEnds(2 ** 22 + 1, { stdout: 1 }), {});
});
