import assert from "node:assert/strict";
import { parseSize } from "./size.ts";

Deno.test("parseSize() reads go-units' sizes, and refuses others in its words", () => {
  assert.deepEqual(["-1", "512", "64M", "1.5g", "2KiB", "3 mb"].map(parseSize), [
    ...[-1, 512, 64 << 20, 1.5 * 2 ** 30, 2048, 3 << 20],
  ]);
  for (const text of ["", "abc", "-2", "1x", "M"]) assert.throws(() => parseSize(text), /invalid size: '/);
});
