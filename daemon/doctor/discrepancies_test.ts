import assert from "node:assert/strict";
import { Discrepancies } from "./discrepancies.ts";

const gone = (path: string, realPath = path, layer = 0) => ({
  path,
  realPath,
  layer,
  problem: "is gone",
  isWhiteout: false,
});
const paths = (found: Discrepancies) => found.list(10).first.map(({ path }) => path).sort();

Deno.test("Discrepancies forgets what a later entry replaces, by either of its paths", () => {
  for (const later of ["a/b", "real/b", "a", "real"]) {
    const found = new Discrepancies();
    found.add(gone("a/b", "real/b"));
    assert.deepEqual(found.list(10).count, 1);
    found.supersede(later, "gone");
    assert.deepEqual(paths(found), [], later);
  }
  const found = new Discrepancies();
  found.add(gone("a/b"));
  found.supersede("a", "kept");
  assert.deepEqual(paths(found), ["a/b"]);
});

Deno.test("Discrepancies hides what earlier layers have below an opaque directory", () => {
  const found = new Discrepancies();
  for (const [path, layer] of [["d/old", 0], ["d/own", 1], ["d", 0], ["e/old", 0]] as const) {
    found.add(gone(path, path, layer));
  }
  found.hideBelow("d", 1);
  assert.deepEqual(paths(found), ["d", "d/own", "e/old"]);
  found.hideBelow("", 1);
  assert.deepEqual(paths(found), ["d/own"]);
});

Deno.test("Discrepancies stays small, and says that there were more", () => {
  const found = new Discrepancies();
  // Each needs places of its own, and a deep one many.
  const deep = "d/".repeat(2_000);
  for (let n = 0; n < 80; n++) found.add(gone(`${n}/${deep}x`));
  assert.equal(found.isFull, true);
  const { first, count } = found.list(5);
  assert.equal(first.length, 5);
  assert.ok(count >= 49 && count < 80, `${count}`);
  for (let n = 0; n < 300_000; n++) found.add(gone(`many/${n}`));
  assert.equal(found.list(5).count, count);
});
