import assert from "node:assert/strict";
import { returnFreeMemory } from "./free_memory.ts";

function heapKilobytes(): number {
  const text = Deno.readTextFileSync("/proc/self/smaps");
  const heap = /\[heap\]\n[\s\S]*?^Rss:\s*(\d+) kB$/m.exec(text);
  return Number(heap?.[1] ?? 0);
}

Deno.test("returnFreeMemory() can be called again and again, and never makes the heap larger", () => {
  returnFreeMemory();
  const before = heapKilobytes();
  assert.ok(before > 0);
  returnFreeMemory();
  assert.ok(heapKilobytes() <= before + 1024);
});
