import assert from "node:assert/strict";
import { ReadContentResponse } from "../../api/gen/services/content/v1/content.ts";
import { pieceWithHeadRoom } from "../content/blob_reader.ts";
import { pieceType } from "./content_pieces.ts";

const generated = (message: ReadContentResponse) => ReadContentResponse.encode(message).finish();

Deno.test("pieceType encodes as the generated code does, for every size of offset and data", () => {
  const offsets = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 45, Number.MAX_SAFE_INTEGER, -1];
  for (const offset of offsets) {
    for (const length of [0, 1, 127, 128, 16_384, 1 << 20]) {
      const data = pieceWithHeadRoom(length).fill(7);
      const expected = generated({ offset, data });
      assert.deepEqual(pieceType.encode({ offset, data }).finish(), expected, `${offset}, ${length}`);
    }
  }
});

Deno.test("pieceType copies no piece that has room for its head, and writes nothing before one that has none", () => {
  const roomy = pieceWithHeadRoom(5).fill(1);
  assert.equal(pieceType.encode({ offset: 3, data: roomy }).finish().buffer, roomy.buffer);
  const memory = new Uint8Array(100).fill(9);
  const part = memory.subarray(50, 60);
  assert.deepEqual(pieceType.encode({ offset: 3, data: part }).finish(), generated({ offset: 3, data: part }));
  assert.ok(memory.every((byte) => byte === 9));
});

Deno.test("pieceType uses a piece's room once: the second message gets memory of its own", () => {
  const data = pieceWithHeadRoom(5).fill(1);
  const first = pieceType.encode({ offset: 0, data }).finish();
  const before = first.slice();
  const second = pieceType.encode({ offset: 1_000, data }).finish();
  assert.deepEqual(first, before);
  assert.deepEqual(second, generated({ offset: 1_000, data }));
});
