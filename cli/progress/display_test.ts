import assert from "node:assert/strict";
import { openProgress, type Screen } from "./display.ts";

// deno-lint-ignore no-control-regex -- the escape sequences are what is read here
const sequences = /\x1b\[(\d+)A|\x1b\[([JK])|(\r?\n)|([^\x1b\r\n]+)|\r/g;

class FakeScreen implements Screen {
  readonly writes: string[] = [];

  constructor(readonly isTerminal: boolean) {}

  size(): { width: number; height: number } {
    return { width: 60, height: 20 };
  }

  write(text: string): void {
    this.writes.push(text);
  }

  /** What a terminal shows after all that was written: lines, cursor up, erase to the end. */
  picture(): string[] {
    const lines = [""];
    let row = 0;
    for (const [, up, erase, newline, text] of this.writes.join("").matchAll(sequences)) {
      if (up !== undefined) row -= Number(up);
      else if (erase === "J") lines.length = row + 1, lines[row] = "";
      else if (newline !== undefined) lines[++row] ??= "";
      else if (text !== undefined) lines[row] = text;
      assert(row >= 0, "the cursor leaves what we drew");
    }
    return lines;
  }
}

const layer = (state: "downloading" | "done", offset: number) =>
  ({ kind: "layer", digest: `sha256:${"a".repeat(64)}`, state, offset, total: 1000 }) as const;

Deno.test("openProgress() on a terminal draws at most ten times a second and leaves one line", async () => {
  const screen = new FakeScreen(true);
  using display = openProgress(screen);
  display.add({ kind: "resolved", name: "x:1", digest: "sha256:1" });
  const startMs = performance.now();
  for (let offset = 0; offset < 1000; offset++) display.add(layer("downloading", offset));
  const drawn = screen.writes.length;
  assert(drawn <= 2 + (performance.now() - startMs) / 100, `${drawn} pictures`);
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(screen.writes.length, drawn + 1, "the last event shows without another one");
  assert.match(screen.picture()[1] ?? "", /^a{12} {2}downloading .* 999 B \/ 1.0 kB$/);
  display.add(layer("done", 1000));
  display.finish();
  assert.match(screen.picture()[0] ?? "", /^pulled x:1: 1 layer, 999 B in /);
  assert.deepEqual(screen.picture().slice(1), [""]);
  display.add(layer("done", 1000));
  display.finish();
  assert.deepEqual(screen.picture().slice(1), [""]);
});

Deno.test("openProgress() on a terminal erases the table when the pull fails", () => {
  const screen = new FakeScreen(true);
  {
    using display = openProgress(screen);
    display.add(layer("downloading", 1));
    assert.equal(screen.picture().length, 3);
  }
  assert.deepEqual(screen.picture(), [""]);
});

Deno.test("openProgress() elsewhere writes a line for each change of state", () => {
  const screen = new FakeScreen(false);
  using display = openProgress(screen);
  display.add({ kind: "resolved", name: "x:1", digest: "sha256:1" });
  display.add({ ...layer("downloading", 0), state: "waiting" });
  for (const offset of [0, 10, 20]) display.add(layer("downloading", offset));
  display.add(layer("done", 1000));
  display.finish();
  assert.deepEqual(screen.writes.slice(0, 3), [
    "x:1: resolved to sha256:1\n",
    "aaaaaaaaaaaa: downloading (1.0 kB)\n",
    "aaaaaaaaaaaa: done (1.0 kB)\n",
  ]);
  assert.match(screen.writes[3] ?? "", /^pulled x:1: 1 layer, 20 B in /);
  assert(!screen.writes.join("").includes("\x1b"));
});
