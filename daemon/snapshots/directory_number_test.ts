import assert from "node:assert/strict";
import { adoptable, adoptedId, directoryNumber } from "./directory_number.ts";

Deno.test("adoptedId() tells snapshotters apart, and directoryNumber() gives the number back", () => {
  const ids = adoptable.flatMap((name) => [1, 2, 999_999_999_999].map((number) => adoptedId(name, number)));
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.every((id) => id < 0 && Number.isSafeInteger(id)));
  assert.deepEqual(ids.map(directoryNumber), adoptable.flatMap(() => [1, 2, 999_999_999_999]));
  assert.equal(directoryNumber(7), 7);
  for (const wrong of [0, -1, 1.5, 1e12, NaN]) assert.throws(() => adoptedId("native", wrong), RangeError);
});
