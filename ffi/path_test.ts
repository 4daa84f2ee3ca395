import assert from "node:assert/strict";
import { decodePath, encodePath } from "./path.ts";

Deno.test("decodePath() and encodePath() keep any bytes, and UTF-8 as it is", () => {
  assert.equal(decodePath(new TextEncoder().encode("\ufeffé/日本/😀")), "\ufeffé/日本/😀");
  for (let round = 0; round < 200; round++) {
    const bytes = crypto.getRandomValues(new Uint8Array(round));
    assert.deepEqual(encodePath(decodePath(bytes)), bytes, bytes.join());
  }
});

Deno.test("decodePath() escapes only the component that is not UTF-8", () => {
  assert.equal(decodePath(new Uint8Array([0xc3, 0xa9, 0x2f, 0xc3, 0x2f, 0xc3, 0xa9])), "é/\udcc3/é");
});
