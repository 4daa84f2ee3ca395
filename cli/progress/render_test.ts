import assert from "node:assert/strict";
import { formatBytes, formatDuration } from "./amount.ts";
import { Board } from "./board.ts";
import type { LayerState } from "./event.ts";
import { renderLine, renderSummary, renderTable } from "./render.ts";

const digest = (number: number) => `sha256:${String(number).repeat(64).slice(0, 64)}`;

function layer(number: number, state: LayerState, offset = 0, total = 0) {
  return { kind: "layer", digest: digest(number), state, offset, total } as const;
}

function exampleBoard(): Board {
  const board = new Board(0);
  board.add({ kind: "resolved", name: "docker.io/library/debian:12", digest: digest(9) }, 0);
  board.add(layer(1, "exists", 0, 1_500_000), 0);
  board.add(layer(2, "downloading", 0, 50_000_000), 0);
  board.add(layer(3, "unpacking", 100, 400), 0);
  board.add(layer(4, "waiting", 0, 2_000), 0);
  board.add(layer(5, "downloading"), 0);
  board.add(layer(2, "downloading", 25_000_000, 50_000_000), 2000);
  return board;
}

Deno.test("renderTable() shows one line a layer and one for all", () => {
  assert.deepEqual(renderTable(exampleBoard(), { width: 80, height: 24 }, 3000), [
    "pulling docker.io/library/debian:12",
    "111111111111  already here  1.5 MB",
    "222222222222  downloading   [===============>              ]  25 MB / 50 MB",
    "333333333333  unpacking     [=======>                      ]  100 B / 400 B",
    "444444444444  waiting       2.0 kB",
    "555555555555  downloading",
    "1 of 5 layers  25 MB, 13 MB/s, 3.0 s",
  ]);
});

Deno.test("renderTable() never fills the width or the height of the screen", () => {
  for (const width of [1, 2, 5, 20, 44, 46, 50, 60, 79, 200]) {
    for (const height of [1, 2, 3, 4, 7, 8, 50]) {
      const lines = renderTable(exampleBoard(), { width, height }, 3000);
      assert(lines.every((line) => line.length <= Math.max(1, width - 1)), `${width}: ${JSON.stringify(lines)}`);
      assert(lines.length <= Math.max(2, height - 1), `${height}: ${lines.length}`);
    }
  }
});

Deno.test("renderTable() leaves finished layers out first where there is little room", () => {
  const lines = renderTable(exampleBoard(), { width: 80, height: 6 }, 3000);
  assert.deepEqual(lines.map((line) => line.slice(0, 12)), [
    "pulling dock",
    "222222222222",
    "333333333333",
    "555555555555",
    "1 of 5 layer",
  ]);
  assert.match(lines.at(-1) ?? "", /^1 of 5 layers, 2 not shown /);
});

Deno.test("renderTable() keeps its form for offsets beyond the total and before the first layer", () => {
  const board = new Board(0);
  assert.deepEqual(renderTable(board, { width: 80, height: 24 }, 400), ["resolving  0.4 s"]);
  board.add(layer(1, "downloading", 20, 10), 0);
  assert.equal(
    renderTable(board, { width: 80, height: 24 }, 0)[0],
    `111111111111  downloading   [${"=".repeat(30)}]  10 B / 10 B`,
  );
});

Deno.test("renderLine() and renderSummary() let no control character through", () => {
  const name = "x\x1b[2J\u202e:1";
  assert.equal(renderLine({ kind: "resolved", name, digest: "sha256:1" }), "x?[2J?:1: resolved to sha256:1");
  const board = new Board(0);
  board.add({ kind: "resolved", name, digest: "" }, 0);
  assert.equal(renderSummary(board, 1200), "pulled x?[2J?:1: 0 layers, 1.2 s");
  assert.equal(renderLine(layer(1, "downloading", 0, 1e6)), "111111111111: downloading (1.0 MB)");
});

Deno.test("Board counts only bytes that came now, and the time until the last of them", () => {
  const board = new Board(1000);
  board.add(layer(1, "downloading", 900, 1000), 1000);
  assert.equal(board.add(layer(1, "downloading", 1000, 1000), 2000), false);
  assert.equal(board.add(layer(1, "unpacking", 0, 1000), 3000), true);
  board.add(layer(1, "unpacking", 1000, 1000), 4000);
  board.add(layer(1, "done", 1000, 1000), 5000);
  assert.deepEqual(board.total(6000), { layers: 1, finished: 1, received: 100, elapsedMs: 5000, bytesPerSecond: 100 });
});

Deno.test("formatBytes() and formatDuration() are short and round well", () => {
  assert.deepEqual([0, 999, 999.6, 1000, 9_949, 9_951, 999_499, 999_500, 1e18].map(formatBytes), [
    ...["0 B", "999 B", "1.0 kB", "1.0 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "1000 PB"],
  ]);
  assert.deepEqual([0, 9_900, 9_990, 59_400, 60_000, 185_000].map(formatDuration), [
    "0.0 s",
    "9.9 s",
    "10 s",
    "59 s",
    "1 m 00 s",
    "3 m 05 s",
  ]);
});
